import { AsyncLocalStorage } from "node:async_hooks";

/** What one request is known by on its whole way: through RPCs, outbox, events and jobs into every log line. */
export interface Context {
  /** Made at the edge, or by a timer; 1 to 128 characters. Over HTTP it is the header x-request-id. */
  correlationId: string;
  /** W3C trace context: 32 and 16 hexadecimal digits. */
  traceId: string;
  spanId: string;
  /** Whether its span is recorded; if not, nothing below it is. */
  sampled?: boolean;
  /** It was made up here, and has no span yet: the first one becomes the root of its trace. */
  fresh?: true;
  /** The order that all of this is about, where it is known. It stays in the process. */
  orderId?: string;
}

/** What of a message says in which context it was told. */
interface Carrier {
  correlationId: string;
  traceparent: string;
}

const storage = new AsyncLocalStorage<Context>();
const CORRELATION_ID = /^[\w.:/+=@-]{1,128}$/;
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;

export function currentContext(): Context | undefined {
  return storage.getStore();
}

export function withContext<T>(context: Context, work: () => T): T {
  return storage.run(context, work);
}

/** The context a message or a request carries; what is missing or malformed is made anew. */
export function contextFrom(correlationId: string | null | undefined, traceparent: string | null | undefined): Context {
  const parent = traceparent ? TRACEPARENT.exec(traceparent) : null;
  const [, traceId = newTraceId(), spanId = newSpanId(), flags] = parent ?? [];
  return {
    correlationId: correlationId && CORRELATION_ID.test(correlationId) ? correlationId : traceId,
    traceId,
    spanId,
    ...(flags === undefined ? { fresh: true } : { sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 }),
  };
}

/** The context in which a message was told. */
export function contextOf({ correlationId, traceparent }: Carrier): Context {
  return contextFrom(correlationId, traceparent);
}

/** What a message told in this context carries. */
export function carriedBy(context: Context): Carrier {
  return { correlationId: context.correlationId, traceparent: traceparent(context) };
}

export function traceparent(context: Context): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}

/** The context that the headers of a request carry. */
export function contextIn(headers: Headers): Context {
  return contextFrom(headers.get("x-request-id"), headers.get("traceparent"));
}

/** The two headers that carry a context to the next service. */
export function contextHeaders(context: Context | undefined): Record<string, string> {
  return context ? { "x-request-id": context.correlationId, traceparent: traceparent(context) } : {};
}

export function newTraceId(): string {
  return hex(16);
}

export function newSpanId(): string {
  return hex(8);
}

function hex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
