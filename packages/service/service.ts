import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Envelope } from "../api/envelope.ts";
import type { Body, Fact, Job } from "../api/messages.ts";
import type { Kept } from "../database/retention.ts";
import { withContext } from "../telemetry/context.ts";
import type { App, Tx } from "./app.ts";
import type { CallContext, Caller } from "./caller.ts";
import type { BannerLine, Listens, Pages } from "./outside.ts";
import { type Policy, STANDARD } from "./retry-policies.ts";

// biome-ignore lint/suspicious/noExplicitAny: handlers of all services lie in one list; `service` checked each of them.
type Anything = any;

/** A service is a list of handlers: RPCs it answers, facts it hears, jobs it does. */
export interface Service<Config = Anything> {
  name: string;
  config: Config;
  /** Folder of .sql files; undefined for a service without tables. */
  migrations?: URL;
  /** Each of its tables, and how long rows stay in it. */
  keeps?: Kept[];
  answers: Answers<Config>[];
  hears: Hears<Config>[];
  does: Does<Config>[];
  /** Runs once when the service is ready, such as for demo data; may run again at every start. */
  starts?: (app: App<Config>) => Promise<void>;
  /** What is done again and again, whatever became of its jobs. */
  schedules?: Schedule<Config>[];
  pages?: Pages<Config>;
  listens?: Listens<Config>[];
  /** Variables that get a random value where they are not set, made once and kept. Where services run apart nothing is made: there they must be set. */
  made?: string[];
  /** Lines of the banner besides those of its listeners. A secret stands there only when this start has made it: `fresh` names those variables. */
  banner?: (config: Config, fresh: string[]) => BannerLine[];
  /** Its `app.clock` tells real time, whatever the scale of business time: its deadlines are about security. */
  realTime?: true;
}

/** Runs every so often, in one process of the service at a time, and soon after its start. A run may be cut short: the next one begins anew. */
export interface Schedule<Config = Anything> {
  name: string;
  /** Between the end of a run and the next, in real time, whatever the scale of business time. */
  everyMs: number;
  run: (app: App<Config>) => Promise<void>;
}

/** Every handler gets an App with the service's own configuration: one that asks for another's does not compile (service.test.ts). */
export function service<Config>(definition: Service<Config>): Service {
  return definition;
}

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
export type AnyHandler<Config = Anything> = (
  app: App<Config>,
  caller: Caller,
  req: Anything,
  signal: AbortSignal,
  context: CallContext,
) => Anything;

export interface Answers<Config = Anything> {
  service: DescService;
  /** By local method name, such as placeOrder. */
  handlers: Record<string, AnyHandler<Config>>;
}

type Handlers<S extends DescService> = { [K in keyof S["method"]]: Handler<S["method"][K]> };

/** The configuration that all of these handlers find in their App. */
type ConfigOf<H> = [H] extends [(app: App<infer Config>, ...rest: never) => unknown] ? Config : never;

export function answers<S extends DescService, H extends Handlers<S>>(
  service: S,
  handlers: H,
): Answers<ConfigOf<H[keyof H]>> {
  return { service, handlers };
}

/**
 * A fact or a job as its handler gets it: all that is known of it, and a transaction whose facts and jobs carry its context on. A fact's body is one object for all who
 * hear it in the process, and frozen.
 */
export interface Message<B = Uint8Array> extends Envelope<B> {
  tx: Tx;
}

/** Handles messages in a transaction that has remembered them. In a set, `tx` is for the set's SQL, and each message's own for what it causes. */
type HandleMany<B, Config> = (app: App<Config>, tx: Tx, messages: Message<B>[]) => Promise<void>;
type HandleOne<B, Config> = (app: App<Config>, message: Message<B>) => Promise<void> | void;

/** What may be declared beside a handler. */
export interface Options {
  /** How often and how long it is tried again; left out, as all are. */
  retry?: Policy;
}

export interface Hears<Config = Anything> {
  /** Left out: facts of every type, with their bodies as bytes. */
  fact?: Fact;
  handle: HandleMany<Anything, Config>;
  retry: Policy;
  /** Handled in the service's first database, wherever the fact's key may lie. */
  atHome?: true;
}

/** For facts about nothing that belongs to an order or a customer, such as a product: what is kept of them is not spread over places. */
export function atHome<Config>(hears: Hears<Config>): Hears<Config> {
  return { ...hears, atHome: true };
}

/** Reacts to a fact. The inbox row is written before `handle` is called, in the same transaction: a second delivery does nothing. */
export function on<F extends Fact, Config>(
  fact: F,
  handle: HandleOne<Body<F>, Config>,
  options?: Options,
): Hears<Config> {
  return onMany(fact, oneByOne(handle), options);
}

/** Like `on`, for handlers that are cheaper in sets: the messages are in order and may hold several of one key. */
export function onMany<F extends Fact, Config>(
  fact: F,
  handle: HandleMany<Body<F>, Config>,
  { retry = STANDARD }: Options = {},
): Hears<Config> {
  return { fact, handle, retry };
}

/** Hears the facts of every type, those too that come with later versions, as they are on the wire. A service that does has no other `on`. */
export function onAny<Config>(
  handle: HandleMany<Uint8Array, Config>,
  { retry = STANDARD }: Options = {},
): Hears<Config> {
  return { handle, retry };
}

export type Does<Config = Anything> = DoesInTransaction<Config> | DoesOutside<Config>;

export interface DoesInTransaction<Config = Anything> {
  job: Job;
  handle: HandleMany<Anything, Config>;
  retry: Policy;
}

/** Does a job in the transaction that forgets it. */
export function does<J extends Job, Config>(
  job: J,
  handle: HandleOne<Body<J>, Config>,
  options?: Options,
): Does<Config> {
  return doesMany(job, oneByOne(handle), options);
}

/** Like `does`, in sets: many jobs that are due at once are one transaction. */
export function doesMany<J extends Job, Config>(
  job: J,
  handle: HandleMany<Body<J>, Config>,
  { retry = STANDARD }: Options = {},
): Does<Config> {
  return { job, handle, retry };
}

export interface Attempt {
  /** 1 at the first. */
  number: number;
  /** Aborts when the effect is to end: its time is over, the job was lost, or the process ends. */
  signal: AbortSignal;
}

/** What is known of an attempt that failed and is not the last. */
export interface Failing {
  error: string;
  attempts: number;
  nextAt: Date;
}

interface Outside<B, Config> {
  /** In the transaction that gives the job back for another try: for what people see of it meanwhile. */
  retrying?: (app: App<Config>, message: Message<B>, failing: Failing) => Promise<void> | void;
  /** In the transaction that gives the job up, in place of `settle`: leaves a state that people see, from which it can be tried again. */
  fail?: (app: App<Config>, message: Message<B>, error: string) => Promise<void> | void;
  retry?: Policy;
  /** How many are performed at one time; left out, few. */
  atOnce?: number;
  /** How long one may take, in real time. The lease is renewed meanwhile. */
  limitMs?: number;
}

/**
 * A call to the outside world, such as SMTP or a payment provider. `perform` runs outside any transaction and may run again, with the same `message.id`; it throws
 * `outcomeUnknown` when the call may have been heard. `settle` records its result in the transaction that forgets the job.
 */
export interface Effect<B, R, Config = Anything> extends Outside<B, Config> {
  perform: (app: App<Config>, message: Envelope<B>, attempt: Attempt) => Promise<R>;
  settle: (app: App<Config>, message: Message<B>, result: R) => Promise<void> | void;
}

/** Settled in sets: those that have happened by then share a transaction. */
export interface EffectMany<B, R, Config = Anything> extends Outside<B, Config> {
  perform: (app: App<Config>, message: Envelope<B>, attempt: Attempt) => Promise<R>;
  settle: (app: App<Config>, tx: Tx, performed: Performed<B, R>[]) => Promise<void>;
}

/** An effect that has happened, and what came of it. */
export interface Performed<B, R> {
  message: Message<B>;
  result: R;
}

export interface DoesOutside<Config = Anything> extends EffectMany<Anything, Anything, Config> {
  job: Job;
  retry: Policy;
  atOnce: number;
  limitMs: number;
}

/** More would be an attack on a provider. */
const EFFECTS_AT_ONCE = 8;
const EFFECT_LIMIT_MS = 30_000;

export function effect<J extends Job, R, Config>(
  job: J,
  { settle, ...rest }: Effect<Body<J>, R, Config>,
): Does<Config> {
  return effectMany<J, R, Config>(job, {
    ...rest,
    async settle(app, _tx, performed) {
      for (const { message, result } of performed)
        await withContext(message.tx.context, () => settle(app, message, result));
    },
  });
}

export function effectMany<J extends Job, R, Config>(job: J, definition: EffectMany<Body<J>, R, Config>): Does<Config> {
  return { job, retry: STANDARD, atOnce: EFFECTS_AT_ONCE, limitMs: EFFECT_LIMIT_MS, ...definition };
}

/** Each in its own context, so that log lines and calls to other services carry it too. */
function oneByOne<B, Config>(handle: HandleOne<B, Config>): HandleMany<B, Config> {
  return async (app, _tx, messages) => {
    for (const message of messages) await withContext(message.tx.context, () => handle(app, message));
  };
}
