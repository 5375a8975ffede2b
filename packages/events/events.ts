/** A fact on the wire: CloudEvents attributes around a protobuf body. */
export interface FactMessage {
  /** The outbox row's id: the same at every delivery. */
  id: string;
  type: string;
  topic: string;
  /** The aggregate's id; facts of one key keep their order. */
  key: string;
  /** Such as bodega/order. */
  source: string;
  time: Date;
  body: Uint8Array;
  traceparent: string;
  requestId: string;
}

/**
 * Facts to every group that subscribes.
 *
 * Promises: what `publish` has answered is delivered at least once to every group, also to one that subscribes later, in the order of publication per key;
 * a group's batch counts as delivered when its handler resolves, and is delivered again, after a pause, when it rejects; restarts lose nothing.
 * Does not promise: exactly-once delivery, an order across keys, or that two members of a group share the work evenly.
 */
export interface Events {
  publish(messages: FactMessage[]): Promise<void>;
  /** With `types`, facts of other types are passed over; with none, no fact is. */
  subscribe(group: string, topics: string[], handler: FactHandler, types?: string[]): Subscription;
  /** Facts published and not yet delivered to some group. */
  undelivered(): Promise<number>;
  close(): Promise<void>;
}

export type FactHandler = (batch: FactMessage[]) => Promise<void>;

export interface Subscription {
  /** Resolves when no handler of this subscription runs any more. */
  close(): Promise<void>;
}
