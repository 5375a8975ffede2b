import { type Context, contextFrom, currentContext, newSpanId, newTraceId, withContext } from "./context.ts";
import type { Sampling } from "./otel-config.ts";

/*
 * Spans are opened where the engine has its one place for each thing: the edge, an RPC, a call, a commit, a message that is sent or handled, an effect. Attributes are
 * those of OpenTelemetry's semantic conventions, and `bodega.*` for what has no convention.
 */

export type Attributes = Record<string, string | number | boolean | null | undefined>;
export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";

export interface SpanOptions {
  kind?: SpanKind;
  /** Asked for only when the span is recorded. */
  attributes?: () => Attributes;
  /** Left out: of the current context. Without one the span is the root of a trace. */
  parent?: Context | undefined;
  /** It begins a trace of its own, which points back to its parent. */
  linked?: boolean;
}

/** A span under way, and the context in which to do what it is about. */
export interface Opened {
  context: Context;
  set(attributes: Attributes): void;
  /** With an error it has failed. */
  end(error?: unknown): void;
}

/** A span as it is recorded. Times are of performance.now(). */
export interface Span {
  service: string;
  name: string;
  kind: SpanKind;
  traceId: string;
  spanId: string;
  /** A root has none. */
  parentId: string | undefined;
  /** Of another trace. */
  link: Context | undefined;
  attributes: Attributes;
  began: number;
  ended: number;
  error?: unknown;
}

/** Which spans are recorded, and what becomes of them. */
export interface Tracing {
  sampling: Sampling;
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
  { kind = "internal", attributes, parent = currentContext(), linked = false }: SpanOptions = {},
): Opened | undefined {
  if (!tracing) return undefined;
  const { sampling, ended } = tracing;
  const known = parent ?? contextFrom(null, null);
  if (!isRecorded(known, sampling)) return undefined;
  const { correlationId, orderId } = known;
  const span: Span = {
    service,
    name: typeof name === "string" ? name : name(),
    kind,
    traceId: linked ? newTraceId() : known.traceId,
    spanId: newSpanId(),
    parentId: linked || known.fresh ? undefined : known.spanId,
    link: linked ? known : undefined,
    attributes: attributes?.() ?? {},
    began: performance.now(),
    ended: 0,
  };
  if (orderId) span.attributes["bodega.order.id"] = orderId;
  const { traceId, spanId } = span;
  return {
    context: { correlationId, traceId, spanId, sampled: true, ...(orderId && { orderId }) },
    set: (more) => void Object.assign(span.attributes, more),
    end(error) {
      span.ended = performance.now();
      span.error = error;
      ended(span);
    },
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

const RANDOM_DIGITS = 14;
const RANDOM_NUMBERS = 16 ** RANDOM_DIGITS;

/** Where a trace goes on, its beginning has decided, unless each span decides. W3C's random part of the trace's id decides, so that all who are asked say the same. */
function isRecorded({ fresh, sampled, traceId }: Context, { parentBased, ratio }: Sampling): boolean {
  if (parentBased && !fresh) return sampled === true;
  return Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) >= (1 - ratio) * RANDOM_NUMBERS;
}
