import { Code, ConnectError } from "@connectrpc/connect";
import { backoffMs } from "../../time/backoff.ts";
import { sleep } from "../../time/wait.ts";
import { retryAfterMs } from "../errors.ts";

/** Asks a service again while it says that a part of it is away for a moment. */
export type UntilBack = <T>(ask: () => Promise<T>, signal: AbortSignal) => Promise<T>;

/** So long one caller waits, which is less than the edge lets a call last. */
const WAIT_MS_MAX = 8_000;
/** A database has another primary by then. An absence that is older is no moment, and is told at once. */
const ABSENCE_MS_MAX = 15_000;
/** The rest is told at once: the edge's room is for those whose service is well. */
const WAITING_MAX = 128;
const PACE = { firstMs: 100, mostMs: 500 };

/**
 * For one service, as the edge has it: a planned switchover of its database fails no request. Only for what does no harm when it is asked twice. Throws what was
 * told last when it gives up. `nowMs` is a monotonic clock.
 */
export function createUntilBack(nowMs = () => performance.now()): UntilBack {
  let absence: { since: number; toldAt: number } | undefined;
  let waiting = 0;

  function lasts(now: number): boolean {
    // One that nobody has met for so long is over: this is another.
    if (!absence || now - absence.toldAt > ABSENCE_MS_MAX) absence = { since: now, toldAt: now };
    absence.toldAt = now;
    return now - absence.since > ABSENCE_MS_MAX;
  }

  async function again<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const giveUpAt = nowMs() + WAIT_MS_MAX;
    for (let failures = 1; ; failures += 1) {
      const pause = backoffMs(failures, PACE);
      const askedAt = nowMs();
      try {
        const answer = await ask();
        absence = undefined;
        return answer;
      } catch (error) {
        if (!comesBack(error) || signal.aborted) throw error;
        const now = nowMs();
        // Who took long to say so has waited already, for another; the next answer would come too late.
        const late = now + pause + (now - askedAt) > giveUpAt;
        if (lasts(now) || late || waiting >= WAITING_MAX) throw error;
      }
      waiting += 1;
      await sleep(pause, signal).finally(() => {
        waiting -= 1;
      });
    }
  }
  return again;
}

/** UNAVAILABLE with a time to come back: rpc.ts answers so while a database cannot be asked. */
function comesBack(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unavailable && retryAfterMs(error) !== undefined;
}
