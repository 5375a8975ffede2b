import { INBOX_DAYS } from "../../database/inbox.ts";
import type { Events } from "../../events/events.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { backoffMs, type Pace } from "../../time/backoff.ts";
import { sleep } from "../../time/wait.ts";

const DAY_MS = 86_400_000;
const PACE: Pace = { firstMs: 1_000, mostMs: 60_000 };

/**
 * Asks once, until it is answered, whether facts may come again when inboxes have forgotten them. Nothing is wrong before somebody sets offsets back, and a shop that
 * did not start would be: so it is an alarm.
 */
export async function checkRepeats(
  events: Pick<Events, "repeatMs">,
  { log, metrics, closing }: { log: Log; metrics: Metrics; closing: AbortSignal },
): Promise<void> {
  for (let failures = 0; !closing.aborted; ) {
    try {
      for (const [topic, ms] of await events.repeatMs()) {
        metrics.factsRepeat.set({ topic }, ms / 1_000);
        if (ms > INBOX_DAYS * DAY_MS) log.error("events.kept_too_long", new Error(tooLong(topic, ms)), { topic });
      }
      return;
    } catch (error) {
      failures += 1;
      if (failures === 1 && !closing.aborted) log.warn("events.retention_unknown", { message: String(error) });
      await sleep(backoffMs(failures, PACE), closing);
    }
  }
}

function tooLong(topic: string, ms: number): string {
  const found = Number.isFinite(ms) ? `${Math.ceil(ms / DAY_MS)} days` : "for ever";
  return `expected topic ${topic} to keep facts for less than the ${INBOX_DAYS} days that inboxes remember, found ${found}: what is read again later is done again; set its retention.ms and segment.ms to less together, with cleanup.policy delete`;
}
