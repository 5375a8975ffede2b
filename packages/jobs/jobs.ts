import type { Envelope } from "../api/envelope.ts";
import type { Inspection } from "../telemetry/inspection.ts";

/**
 * Commands to one worker of a queue.
 *
 * Promises: what `send` has answered is delivered at least once, to one worker at a time; a batch counts as delivered when its handler resolves,
 * and is delivered again, after a growing pause, when it rejects; restarts lose nothing; queues exist before their workers do; what reaches a queue
 * in whatever shape reaches the handler, nothing is set aside on the way.
 * They are due now: jobs for later wait in their sender's database.
 * Does not promise: exactly-once delivery or an order. Attempts are counted and poison is parked by the receiving service, in its own database.
 */
export interface Jobs {
  send(queue: string, messages: Envelope[]): Promise<void>;
  /** `woken` is called for wake-ups, see `wakeLater`. */
  receive(queue: string, handler: JobHandler, woken?: () => void): Subscription;
  /**
   * Wakes one receiver of the queue, in whichever process, about `ms` of real time from now. A hint, not a promise: it may come two seconds
   * early, more than once, or never; who waits for a time looks into the database, and also without being woken.
   */
  wakeLater(queue: string, ms: number): void;
  /** Jobs sent and not yet taken. */
  undelivered(): Promise<number>;
  /** How what carries them is, as far as this process has to do with it. Rejects when it cannot be asked. */
  inspect(): Promise<Inspection>;
  close(): Promise<void>;
}

export type JobHandler = (batch: Envelope[]) => Promise<void>;

export interface Subscription {
  /** Resolves when no handler of this subscription runs any more. */
  close(): Promise<void>;
}
