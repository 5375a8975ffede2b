import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Body, Fact, Job } from "../api/messages.ts";
import { inContextOf } from "../telemetry/context.ts";
import type { App, Tx } from "./app.ts";
import type { Caller } from "./caller.ts";
import type { CallContext } from "./rpc.ts";

/** A service is a list of handlers: RPCs it answers, facts it hears, jobs it does. */
export interface Service<Config = unknown> {
  name: string;
  config: Config;
  /** Folder of .sql files; undefined for a service without tables. */
  migrations?: URL;
  answers: Answers[];
  hears: Hears[];
  does: Does[];
  /** Runs once when the service is ready, such as for demo data; may run again at every start. */
  starts?: (app: App<Config>) => Promise<void>;
}

/** Names the handlers' App by the service's own configuration. Handlers are kept untyped; `service` checked them. */
export function service<Config>(definition: Service<Config>): Service {
  return definition as unknown as Service;
}

// biome-ignore lint/suspicious/noExplicitAny: handlers of all services lie in one list; each was checked where it was declared.
type Anything = any;

type Asked<M extends DescMethod> = M["methodKind"] extends "client_streaming" | "bidi_streaming"
  ? AsyncIterable<MessageShape<M["input"]>>
  : MessageShape<M["input"]>;

type Answered<M extends DescMethod> = M["methodKind"] extends "server_streaming" | "bidi_streaming"
  ? AsyncIterable<MessageInitShape<M["output"]>>
  : Promise<MessageInitShape<M["output"]>>;

/** Answers an RPC. `signal` ends with the call; what few handlers need of its headers is in `context`. */
export type Handler<M extends DescMethod, Config = Anything> = (
  app: App<Config>,
  caller: Caller,
  req: Asked<M>,
  signal: AbortSignal,
  context: CallContext,
) => Answered<M>;

/** A handler whose method has been forgotten. */
export type AnyHandler = (
  app: App<Anything>,
  caller: Caller,
  req: Anything,
  signal: AbortSignal,
  context: CallContext,
) => Anything;

export interface Answers {
  service: DescService;
  /** By local method name, such as placeOrder. */
  handlers: Record<string, AnyHandler>;
}

export function answers<S extends DescService>(
  service: S,
  handlers: { [K in keyof S["method"]]: Handler<S["method"][K]> },
): Answers {
  // Each handler was checked against its method just above; the list forgets which.
  return { service, handlers: handlers as unknown as Answers["handlers"] };
}

export interface Hears {
  fact: Fact;
  handle: (app: App<Anything>, tx: Tx, bodies: Anything[]) => Promise<void>;
}

/** Reacts to a fact. The inbox row is written before `handle` is called, in the same transaction: a second delivery does nothing. */
export function on<F extends Fact>(
  fact: F,
  handle: (app: App<Anything>, tx: Tx, body: Body<F>) => Promise<void> | void,
): Hears {
  return {
    fact,
    async handle(app, tx, bodies) {
      for (const body of bodies) await inContextOf(body, () => handle(app, tx, body));
    },
  };
}

/** Like `on`, for handlers that are cheaper in sets: `bodies` are in order and may hold several of one key; emit and enqueue inside `inContextOf(body, …)`. */
export function onMany<F extends Fact>(
  fact: F,
  handle: (app: App<Anything>, tx: Tx, bodies: Body<F>[]) => Promise<void>,
): Hears {
  return { fact, handle };
}

export type Does = DoesInTransaction | DoesOutside;

export interface DoesInTransaction {
  job: Job;
  handle: (app: App<Anything>, tx: Tx, bodies: Anything[]) => Promise<void>;
}

export interface DoesOutside {
  job: Job;
  /** How many are performed at one time. */
  atOnce: number;
  perform: (app: App<Anything>, body: Anything, attempt: Attempt) => Promise<unknown>;
  settle: (app: App<Anything>, tx: Tx, performed: Performed<Anything, Anything>[]) => Promise<void>;
  /** Called in place of `settle` when the job is given up. */
  fail?: (app: App<Anything>, tx: Tx, body: Anything, error: string) => Promise<void> | void;
}

/** An effect that has happened, and what came of it. */
export interface Performed<B, R> {
  body: B;
  result: R;
}

/** Does a job in the transaction that forgets it. */
export function does<J extends Job>(
  job: J,
  handle: (app: App<Anything>, tx: Tx, body: Body<J>) => Promise<void> | void,
): Does {
  return {
    job,
    async handle(app, tx, bodies) {
      for (const body of bodies) await inContextOf(body, () => handle(app, tx, body));
    },
  };
}

/** Like `does`, in sets: many jobs that are due at once are one transaction. */
export function doesMany<J extends Job>(
  job: J,
  handle: (app: App<Anything>, tx: Tx, bodies: Body<J>[]) => Promise<void>,
): Does {
  return { job, handle };
}

export interface Attempt {
  /** The job's id: the idempotency key towards the outside world, the same at every attempt. */
  id: string;
  /** 1 at the first. */
  number: number;
  /** Aborts when it is time to give up and try again later. */
  signal: AbortSignal;
}

/** More would be an attack on a provider. */
const EFFECTS_AT_ONCE = 8;

/**
 * Calls the outside world, such as SMTP or a payment provider: `perform` runs outside any transaction and may run again after a crash, under the same `id`;
 * `settle` records its result and forgets the job in one transaction.
 */
export function effect<J extends Job, R>(
  job: J,
  perform: (app: App<Anything>, body: Body<J>, attempt: Attempt) => Promise<R>,
  settle: (app: App<Anything>, tx: Tx, body: Body<J>, result: R) => Promise<void> | void,
  fail?: DoesOutside["fail"],
): Does {
  const settleEach = async (app: App, tx: Tx, performed: Performed<Body<J>, R>[]) => {
    for (const { body, result } of performed) await inContextOf(body, () => settle(app, tx, body, result));
  };
  return effectMany(job, EFFECTS_AT_ONCE, perform, settleEach, fail);
}

/** Like `effect`, `atOnce` at a time, settled in sets: those that have happened by then share a transaction. Enqueue inside `inContextOf(body, …)`. */
export function effectMany<J extends Job, R>(
  job: J,
  atOnce: number,
  perform: (app: App<Anything>, body: Body<J>, attempt: Attempt) => Promise<R>,
  settle: (app: App<Anything>, tx: Tx, performed: Performed<Body<J>, R>[]) => Promise<void>,
  fail?: DoesOutside["fail"],
): Does {
  return { job, atOnce, perform, settle, ...(fail && { fail }) };
}
