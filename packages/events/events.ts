import type { FactEnvelope } from "../api/envelope.ts";
import type { Inspection } from "../telemetry/inspection.ts";

/**
 * Facts to every group that subscribes.
 *
 * Promises: what `publish` has answered is delivered at least once to every group, also to one that subscribes later, in the order of publication per key;
 * a group's batch counts as delivered when its handler resolves, and is delivered again, after a pause, when it rejects; restarts lose nothing.
 * Does not promise: exactly-once delivery, an order across keys, or that two members of a group share the work evenly.
 */
export interface Events {
  publish(messages: FactEnvelope[]): Promise<void>;
  /** Facts of types that `types` does not name are passed over; if it names none, no fact is. It may name others each time; while it throws, nothing is delivered. */
  subscribe(group: string, topics: string[], handler: FactHandler, types?: () => string[]): Subscription;
  /** Facts published and not yet delivered to some group. */
  undelivered(): Promise<number>;
  /** How long after its publication a fact may be delivered again, by the topic, of those subscribed to here; for ever is Infinity. */
  repeatMs(): Promise<Map<string, number>>;
  /** How what carries them is, as far as this process has to do with it. Rejects when it cannot be asked. */
  inspect(): Promise<Inspection>;
  close(): Promise<void>;
}

/** Those of the types that are named; all, where none is. */
export function named(batch: FactEnvelope[], types: string[]): FactEnvelope[] {
  return types.length === 0 ? batch : batch.filter(({ type }) => types.includes(type));
}

export type FactHandler = (batch: FactEnvelope[]) => Promise<void>;

export interface Subscription {
  /** Resolves when no handler of this subscription runs any more. */
  close(): Promise<void>;
}
