import { type Context, contextFrom, currentContext, newSpanId, newTraceId, withContext } from "./context.ts";

/*
 * Spans are opened where the engine has its one place for each thing: the edge, an RPC, a call, a commit, a message that is sent or handled, an effect. Attributes are
 * those of OpenTelemetry's semantic conventions, and `bodega.*` for what has no convention.
 */

export type Kind = "internal" | "server" | "client" | "producer" | "consumer";

export type Attributes = Record<string, string | number | boolean>;

export interface SpanOptions {
  kind?: Kind;
  /** Asked for only when the span is recorded. */
  attributes?: () => Attributes;
  /** Left out: the current context. Where there is none, or nothing was recorded in it yet, the span is the root of a trace. */
  parent?: Context | undefined;
  /** It begins a trace of its own, which points back to this one. */
  after?: Context;
}

/** A span under way, and the context in which to do what it is about. */
export interface Opened {
  context: Context;
  set(attributes: Attributes): void;
  /** Once. With an error it has failed. */
  end(error?: unknown): void;
}

/** What is told of a span when it has ended. */
export interface Span {
  service: string;
  name: string;
  kind: Kind;
  context: Context;
  parent: Context | undefined;
  after: Context | undefined;
  /** Since 1970. */
  startMs: number;
  durationMs: number;
  attributes: Attributes;
  error: unknown;
}

/** Where spans go. */
export interface Tracing {
  /** A span is recorded when the one that it follows is; else each trace is decided upon by its id alone. */
  parentBased: boolean;
  /** Whether a trace that begins here is recorded. */
  samples(traceId: string): boolean;
  ended(span: Span): void;
}

let tracing: Tracing | undefined;

/** Undefined: no span is made any more. */
export function setTracing(on: Tracing | undefined): void {
  tracing = on;
}

/** Undefined when nothing is recorded: then what was to be done in it is done in the context that is there. */
export function openSpan(
  service: string,
  name: string | (() => string),
  { kind = "internal", attributes: attributesOf, parent: around = currentContext(), after }: SpanOptions = {},
): Opened | undefined {
  if (!tracing) return undefined;
  const { parentBased, samples, ended } = tracing;
  const follows = after ?? around;
  const inherits = parentBased && follows !== undefined && !follows.fresh;
  if (inherits && !follows.sampled) return undefined;
  const { correlationId, fresh, orderId, ...known } = around ?? contextFrom(null, null);
  const traceId = after ? newTraceId() : known.traceId;
  const sampled = inherits || samples(traceId);
  const context = { correlationId, traceId, spanId: newSpanId(), sampled, ...(orderId && { orderId }) };
  if (!sampled) return { context, set() {}, end() {} };
  const begun = {
    ...{ service, name: typeof name === "string" ? name : name(), kind, context, after },
    parent: after || fresh ? undefined : around,
    attributes: { ...(orderId && { "bodega.order.id": orderId }), ...attributesOf?.() },
    startMs: Date.now(),
  };
  const started = performance.now();
  return {
    context,
    set: (more) => void Object.assign(begun.attributes, more),
    end: (error) => ended({ ...begun, durationMs: performance.now() - started, error }),
  };
}

/** Runs `work` in a span. */
export async function span<T>(
  service: string,
  name: string | (() => string),
  options: SpanOptions,
  work: (opened: Opened | undefined) => Promise<T>,
): Promise<T> {
  const opened = openSpan(service, name, options);
  if (!opened) return work(undefined);
  return withContext(opened.context, async () => {
    try {
      const result = await work(opened);
      opened.end();
      return result;
    } catch (error) {
      opened.end(error);
      throw error;
    }
  });
}

/** Like `span`, for what is of no interest by itself: outside a recorded trace nothing is opened. */
export function spanWithin<T>(
  service: string,
  name: string | (() => string),
  options: SpanOptions,
  work: () => Promise<T>,
): Promise<T> {
  return currentContext()?.sampled ? span(service, name, options, work) : work();
}

export type Exemplar = Record<"trace_id" | "span_id", string>;

/** The trace that a measurement belongs to, for an exemplar; undefined where none is recorded. */
export function exemplarOf(context: Context | undefined): Exemplar | undefined {
  return tracing && context?.sampled ? { trace_id: context.traceId, span_id: context.spanId } : undefined;
}
