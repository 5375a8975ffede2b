import { AsyncLocalStorage } from "node:async_hooks";

/** What one request is known by on its whole way: through RPCs, outbox, events and jobs into every log line. */
export interface Context {
  /** Made at the edge, or by a timer; 1 to 128 characters. */
  requestId: string;
  /** W3C trace context: 32 and 16 hexadecimal digits. */
  traceId: string;
  spanId: string;
}

const storage = new AsyncLocalStorage<Context>();
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

export function currentContext(): Context | undefined {
  return storage.getStore();
}

export function withContext<T>(context: Context, work: () => T): T {
  return storage.run(context, work);
}

const contexts = new WeakMap<object, Context>();

/** Remembers which context a decoded message came in, for handlers that get many at once. */
export function bindContext(message: object, context: Context): void {
  contexts.set(message, context);
}

/** Runs `work` in the context `message` came in. */
export function inContextOf<T>(message: object, work: () => T): T {
  const context = contexts.get(message);
  return context ? withContext(context, work) : work();
}

/** The context a message or a request carries; what is missing or malformed is made anew. */
export function contextFrom(requestId: string | null | undefined, traceparent: string | null | undefined): Context {
  const parent = traceparent ? TRACEPARENT.exec(traceparent) : null;
  const traceId = parent?.[1] ?? hex(16);
  return {
    requestId: requestId && REQUEST_ID.test(requestId) ? requestId : traceId,
    traceId,
    spanId: parent?.[2] ?? hex(8),
  };
}

export function traceparent(context: Context): string {
  return `00-${context.traceId}-${context.spanId}-01`;
}

/** The context that the headers of a request carry. */
export function contextIn(headers: Headers): Context {
  return contextFrom(headers.get("x-request-id"), headers.get("traceparent"));
}

/** The two headers that carry a context to the next service. */
export function contextHeaders(context: Context | undefined): Record<string, string> {
  return context ? { "x-request-id": context.requestId, traceparent: traceparent(context) } : {};
}

function hex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
