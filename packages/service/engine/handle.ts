import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Envelope } from "../../api/envelope.ts";
import type { JobRow, Kind } from "../../database/jobs.ts";
import { type Context, contextOf, withContext } from "../../telemetry/context.ts";
import type { App, Tx } from "../app.ts";
import type { Policy } from "../retry-policies.ts";
import type { Does, Hears, Message } from "../service.ts";
import { contextOfDecoded, type Handling, handling } from "./message-spans.ts";

/** What handles messages of one type, or of every type. */
export interface MessageHandler {
  /** Left out: bodies stay bytes. */
  schema?: DescMessage;
  handle: Hears["handle"];
  retry: Policy;
}

function handlerOf({ fact, handle, retry }: Hears): MessageHandler {
  return { ...(fact && { schema: fact.schema }), handle, retry };
}

/** Which handler takes which message. */
export type MessageHandlers = (kind: Kind, type: string) => MessageHandler | undefined;

export function handlersOf(service: string, hears: Hears[], does: Does[]): MessageHandlers {
  const any = hears.find(({ fact }) => fact === undefined);
  const ofFacts = new Map(hears.flatMap((each) => (each.fact ? [[each.fact.type, handlerOf(each)]] : [])));
  if (ofFacts.size + (any ? 1 : 0) !== hears.length)
    throw new Error(`${service} hears a fact twice: one handler per fact`);
  const ofJobs = new Map(
    does.flatMap((each) => ("handle" in each ? [[each.job.type, { ...each, schema: each.job.schema }]] : [])),
  );
  const ofAny = any && handlerOf(any);
  return (kind, type) => {
    if (kind === "job") return ofJobs.get(type);
    return type === "" ? undefined : (ofFacts.get(type) ?? ofAny);
  };
}

/** Throws INVALID_ARGUMENT where there is none. */
export function handlerFor({ service }: App, handlers: MessageHandlers, kind: Kind, type: string): MessageHandler {
  const handler = handlers(kind, type);
  if (handler) return handler;
  const why = type ? `${service} has no handler for ${type}` : "the message has no type";
  throw new ConnectError(why, Code.InvalidArgument);
}

/** Hands messages that are there for the first time to their handler, in the transaction that remembers them. */
export async function handle(
  app: App,
  tx: Tx,
  handler: MessageHandler,
  kind: Kind,
  envelopes: (Envelope & Partial<Pick<JobRow, "due_at">>)[],
): Promise<void> {
  const decode = kind === "fact" ? decodeFact : decodeBody;
  const decoded = envelopes.map((envelope) => ({ envelope, message: decodeMessage(handler.schema, envelope, decode) }));
  const taken = decoded.map(({ envelope, message }) => ({
    message,
    ...handling(app.service, message, envelope),
    since: (kind === "job" ? envelope.due_at : undefined) ?? envelope.time,
  }));
  const messages = taken.map(({ message, context }) => within(tx, message, context));
  const [first] = messages;
  if (!first) return;
  const work = () => handler.handle(app, tx, messages);
  const end = (error?: unknown) => {
    for (const { opened } of taken) opened?.end(error);
  };
  try {
    await (messages.length === 1 ? withContext(first.tx.context, work) : work());
  } catch (error) {
    end(error);
    throw error;
  }
  for (const each of taken) measureDelay(app, each);
  end();
  // One line per message, so that the log tells an order's story in every service that heard of it; a service that hears every fact logs only how many they were.
  if (!handler.schema) app.log.info(`${kind}s.done`, { count: messages.length });
  else for (const { type, key, tx: own } of messages) app.log.in(own.context).info(`${kind}.done`, { type, key });
  for (const [type, { length }] of Map.groupBy(messages, (message) => message.type))
    app.metrics.messages.inc({ service: app.service, type, outcome: "done" }, length);
}

/** The message alone, with its body decoded where there is a schema. */
export function decodeMessage(
  schema: DescMessage | undefined,
  envelope: Envelope,
  decode = decodeBody,
): Envelope<unknown> {
  const { id, type, source, key, time, traceparent, correlationId, body } = envelope;
  return { id, type, source, key, time, traceparent, correlationId, body: schema ? decode(schema, body) : body };
}

/** Of a message that has failed, perhaps because it cannot be decoded. */
export function contextOfFailed(schema: DescMessage | undefined, envelope: Envelope): Context {
  try {
    return contextOfDecoded(decodeMessage(schema, envelope));
  } catch {
    return contextOf(envelope); // Whatever order it is about, nobody can read.
  }
}

/** By their bodies: the services of a process are handed the same ones. */
const decodedFacts = new WeakMap<Uint8Array, object>();

/** Once for all services that hear it here. It says what has happened: nobody can change it. */
function decodeFact(schema: DescMessage, body: Uint8Array): object {
  const known = decodedFacts.get(body);
  if (known) return known;
  const fact = frozen(decodeBody(schema, body));
  decodedFacts.set(body, fact);
  return fact;
}

function frozen<T extends object>(value: T): T {
  // Bytes cannot be frozen.
  for (const part of Object.values(value)) if (part instanceof Object && !(part instanceof Uint8Array)) frozen(part);
  return Object.freeze(value);
}

function decodeBody(schema: DescMessage, body: Uint8Array): object {
  try {
    return fromBinary(schema, body);
  } catch (error) {
    throw new ConnectError(`the body is not a ${schema.typeName}: ${String(error)}`, Code.InvalidArgument);
  }
}

/** From when a fact was told, or a job was due, until it was done: how late timers are and how stale is what follows from facts. */
export function measureDelay(app: App, { message, since, context, opened }: Timed): void {
  const ms = Math.max(0, app.clock.now().getTime() - since.getTime());
  opened?.set({ "bodega.delay_ms": ms });
  app.metrics.messageDelay(app.service, message.type, ms / 1_000, context);
}

interface Timed extends Handling {
  message: Envelope<unknown>;
  since: Date;
}

/** With the transaction bound to its context. */
export function within<B>(tx: Tx, message: Envelope<B>, context: Context): Message<B> {
  return { ...message, tx: tx.under(context) };
}
