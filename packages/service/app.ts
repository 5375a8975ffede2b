import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { Sql } from "../database/database.ts";
import type { Recording, Tx } from "../database/story.ts";
import type { Locks } from "../locks/locks.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export type { Recording, Tx } from "../database/story.ts";

/** Everything a handler can reach. There is no publisher here: what leaves the service leaves through a transaction. */
export interface App<Config = unknown> {
  service: string;
  config: Config;
  /** Reads. Writes belong into a story. */
  sql: Sql;
  clock: Clock;
  random: Random;
  locks: Locks;
  log: Log;
  metrics: Metrics;
  /** A typed client of another service, as this service, or on behalf of a caller. */
  call<S extends DescService>(service: S, caller?: Caller): Client<S>;
  /** A transaction of its own: all of it commits, or none. */
  transact<T>(story: (tx: Tx) => Promise<T>): Promise<T>;
  /** Rows that need no reading: committed together with those of other callers. */
  record(story: (tx: Recording) => void): Promise<void>;
  /** Tells watchers in this process that `key` has changed. */
  watch: Watchers;
  /**
   * A story that happens once per caller, RPC and `requestId`; a repeated call gets the stored answer, `replayed` set where the answer has that field.
   * Another request under the same id is refused with ALREADY_EXISTS. A story that returns without a promise only records and is committed with its neighbours.
   */
  once<M extends DescMessage, R extends MessageShape<DescMessage>>(
    caller: Caller,
    reply: M,
    request: R & { requestId: string },
    story: OnceStory<M>,
  ): Promise<MessageShape<M>>;
}

export type OnceStory<M extends DescMessage> = ((tx: Recording) => MessageInitShape<M>) | AsyncOnceStory<M>;

/** Marked by `reading(…)`: a story that must read inside its transaction. */
export interface AsyncOnceStory<M extends DescMessage> {
  reads: (tx: Tx) => Promise<MessageInitShape<M>>;
}

export function reading<M extends DescMessage>(reads: (tx: Tx) => Promise<MessageInitShape<M>>): AsyncOnceStory<M> {
  return { reads };
}

/** Wakes streams that wait for a change of one thing. A hint, not a promise: streams also look by themselves. */
export interface Watchers {
  changed(key: string): void;
  /** Resolves at the next change of `key`, when `signal` aborts, or after a while. */
  next(key: string, signal: AbortSignal): Promise<void>;
}
