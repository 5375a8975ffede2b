import type { Envelope } from "../api/envelope.ts";
import type { Log } from "../telemetry/log.ts";
import { backoffMs, SOON } from "../time/backoff.ts";
import { createBell } from "../time/bell.ts";
import { sleep } from "../time/wait.ts";
import type { JobHandler } from "./jobs.ts";

const BATCH_MESSAGES_MAX = 100;
/** So many failures in a row, and no success, are the receiver's fault and not the messages'. */
const OUTAGE_FAILURES = 3;
const LOOK_MS = 60_000;

/** A message that a broker has handed over and keeps until it is acknowledged. */
export interface Arrival {
  message: Envelope;
  /** False when its connection is gone: the broker delivers it again. */
  live(): boolean;
  ack(): void;
  /** To the broker, which offers it again, perhaps to another process. */
  giveBack(): void;
}

export interface Delivery {
  arrived(arrival: Arrival): void;
  /** Arrived and not acknowledged. */
  held(): number;
  /** Resolves when the handler does not run any more. */
  close(): Promise<void>;
}

/**
 * Hands what has arrived to the handler, in batches, one at a time. A batch that is refused is held and offered again, after a growing pause, so that
 * an outage of the receiver sends nothing to and fro; one that is refused while others are taken goes back to the broker, behind the others.
 */
export function startDelivery(queue: string, handler: JobHandler, log: Log): Delivery {
  const bell = createBell();
  const closing = new AbortController();
  let waiting: Arrival[] = [];

  async function run() {
    for (let failures = 0; !bell.closed(); ) {
      waiting = waiting.filter((arrival) => arrival.live());
      const batch = waiting.slice(0, BATCH_MESSAGES_MAX);
      if (batch.length === 0) await bell.rung(LOOK_MS);
      else if ((await take(batch, failures)) || (failures > 0 && batch.length > 1 && (await takeApart(batch))))
        failures = 0;
      else {
        failures += 1;
        await sleep(backoffMs(failures, SOON), closing.signal);
      }
    }
  }

  async function take(batch: Arrival[], failures: number): Promise<boolean> {
    try {
      await handler(batch.map(({ message }) => message));
    } catch (error) {
      if (!bell.closed()) log.error("jobs.redelivering", error, { queue, failures: failures + 1, count: batch.length });
      return false;
    }
    for (const arrival of batch) if (arrival.live()) arrival.ack();
    forget(batch);
    return true;
  }

  /** One by one. When some are taken, the fault is in the others, which are given back; when none is, they are held, last in the row. */
  async function takeApart(batch: Arrival[]): Promise<boolean> {
    const refused: Arrival[] = [];
    let taken = 0;
    for (const arrival of batch) {
      if (bell.closed() || (taken === 0 && refused.length === OUTAGE_FAILURES)) break;
      if (await take([arrival], refused.length)) taken += 1;
      else refused.push(arrival);
    }
    forget(refused);
    if (taken === 0) waiting.push(...refused);
    else for (const arrival of refused) if (arrival.live()) arrival.giveBack();
    return taken > 0;
  }

  function forget(done: Arrival[]) {
    waiting = waiting.filter((arrival) => !done.includes(arrival));
  }

  const running = run();
  return {
    arrived(arrival) {
      waiting.push(arrival);
      bell.ring();
    },
    held: () => waiting.filter((arrival) => arrival.live()).length,
    async close() {
      bell.close();
      closing.abort();
      await running;
    },
  };
}
