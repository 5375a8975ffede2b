import type { Envelope } from "../../api/envelope.ts";
import type { JobRow } from "../../database/jobs.ts";
import { type Context, contextOf, traceparent } from "../../telemetry/context.ts";
import { orderOf } from "../../telemetry/order.ts";
import { type Opened, openSpan } from "../../telemetry/trace.ts";

/** What is asked for further ahead, such as tomorrow's reminder, has a trace of its own, linked to the one that asked. */
const SAME_TRACE_MS = 60_000;

/** A message that is being handled: the context to do it in, whether or not its span is recorded. */
export interface Handling {
  context: Context;
  opened: Opened | undefined;
}

/** Opens the span of a message that `service` handles. */
export function handling(service: string, message: Envelope<unknown>, asked: Envelope): Handling {
  const told = contextOfDecoded(message);
  const later = isLater(asked);
  const opened = openSpan(service, `process ${message.type}`, {
    kind: "consumer",
    parent: told,
    ...(later && { after: told }),
    attributes: () => ({
      ...attributesOf(message),
      "messaging.operation.type": "process",
      "messaging.operation.name": "process",
      "messaging.consumer.group.name": service,
    }),
  });
  return { context: opened?.context ?? told, opened };
}

/** Sends messages with a span each: what is handled elsewhere is a child of its sending. */
export async function sending<M extends Envelope>(
  service: string,
  messages: M[],
  send: (messages: M[]) => Promise<void>,
) {
  const spans: Opened[] = [];
  const sent = messages.map((message) => {
    const opened = openSpan(service, `send ${message.type}`, {
      kind: "producer",
      parent: contextOf(message),
      attributes: () => ({
        ...attributesOf(message),
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
      }),
    });
    if (!opened) return message;
    spans.push(opened);
    return { ...message, traceparent: traceparent(opened.context) };
  });
  try {
    await send(sent);
  } catch (error) {
    for (const span of spans) span.end(error);
    throw error;
  }
  for (const span of spans) span.end();
}

/** A message is given up, or tried again: a span that says so, for those who look for what went wrong. */
export function noteFailure(
  service: string,
  message: Envelope,
  { context, outcome, error }: { context: Context; outcome: "parked" | "retried"; error: unknown },
): void {
  const opened = openSpan(service, `${outcome} ${message.type}`, {
    parent: context,
    attributes: () => ({ ...attributesOf(message), "bodega.outcome": outcome }),
  });
  opened?.end(error);
}

function attributesOf({ id, type, key, source }: Envelope<unknown>) {
  return {
    "messaging.system": "bodega",
    "messaging.destination.name": type,
    "messaging.message.id": id,
    "bodega.message.key": key,
    "bodega.message.source": source,
  };
}

function isLater(asked: Envelope & Partial<Pick<JobRow, "due_at">>): boolean {
  return asked.due_at !== undefined && asked.due_at.getTime() - asked.time.getTime() > SAME_TRACE_MS;
}

/** Of a message whose body is decoded: it knows which order that is about. */
export function contextOfDecoded(message: Envelope<unknown>): Context {
  const [context, orderId] = [contextOf(message), orderOf(message.body)];
  return orderId ? { ...context, orderId } : context;
}
