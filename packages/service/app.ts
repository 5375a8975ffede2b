import type { DescMessage, DescService, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { Recording, Tx } from "../database/story.ts";
import type { Locks } from "../locks/locks.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Clock } from "../time/clock.ts";
import type { Random } from "../time/random.ts";
import type { Caller } from "./caller.ts";
import type { Place, Places } from "./places.ts";

export type { Recording, Tx } from "../database/story.ts";

/** Everything a handler can reach. There is no publisher here: what leaves the service leaves through a transaction. */
export interface App<Config = unknown> extends Place, Places {
  service: string;
  config: Config;
  clock: Clock;
  random: Random;
  locks: Locks;
  log: Log;
  metrics: Metrics;
  /** A typed client of another service, as this service, or on behalf of a caller. */
  call<S extends DescService>(service: S, caller?: Caller): Client<S>;
  /** Rows that need no reading: committed together with those of other callers. */
  record(story: (tx: Recording) => void): Promise<void>;
  /** Tells watchers in this process that `key` has changed. */
  watch: Watchers;
  /**
   * `record` and `transact` for a request that may come again: its story happens once per caller, RPC and `requestId`. A repeated call gets the stored answer,
   * `replayed` set where the answer has that field; another request under the same id is refused with ALREADY_EXISTS.
   */
  recordOnce<M extends DescMessage>(
    caller: Caller,
    reply: M,
    request: Repeatable,
    story: (tx: Recording) => MessageInitShape<M>,
  ): Promise<MessageShape<M>>;
  transactOnce<M extends DescMessage>(
    caller: Caller,
    reply: M,
    request: Repeatable,
    story: (tx: Tx) => Promise<MessageInitShape<M>>,
  ): Promise<MessageShape<M>>;
}

export type Repeatable = Message & { requestId: string };

/** Wakes streams that wait for a change of one thing. A hint, not a promise: streams also look by themselves. */
export interface Watchers {
  changed(key: string): void;
  /** Resolves at the next change of `key`, when `signal` aborts, or after a while. */
  next(key: string, signal: AbortSignal): Promise<void>;
}
