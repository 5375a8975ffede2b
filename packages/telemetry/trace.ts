import {
  type Attributes,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { type Context, contextFrom, currentContext, withContext } from "./context.ts";

/*
 * Spans are opened where the engine has its one place for each thing: the edge, an RPC, a call, a commit, a message that is sent or handled, an effect. Attributes are
 * those of OpenTelemetry's semantic conventions, and `bodega.*` for what has no convention.
 */

export interface SpanOptions {
  kind?: keyof typeof KINDS;
  /** Asked for only when the span is recorded. */
  attributes?: () => Attributes;
  /** Left out: of the current context. Without one the span is the root of a trace. */
  parent?: Context | undefined;
  /** It begins a trace of its own, which points back to this one. */
  after?: Context;
}

/** A span under way, and the context in which to do what it is about. */
export interface Opened {
  context: Context;
  set(attributes: Attributes): void;
  /** With an error it has failed. */
  end(error?: unknown): void;
}

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/** What the exporter's file knows and this one must. */
export interface Tracing {
  /** Where a trace was not recorded, nothing below it is: no span is made to find that out. */
  parentBased: boolean;
  /** Makes the next root span one of this trace. */
  nextTraceId(traceId: string): void;
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
  options: SpanOptions = {},
): Opened | undefined {
  const { kind = "internal", parent = currentContext(), after } = options;
  if (!tracing || (tracing.parentBased && isUnrecorded(after ?? parent))) return undefined;
  const known = parent ?? contextFrom(null, null);
  const root = after !== undefined || known.fresh === true;
  if (root && !after) tracing.nextTraceId(known.traceId);
  const span = trace
    .getTracer(service)
    .startSpan(
      typeof name === "string" ? name : name(),
      { kind: KINDS[kind], root, ...(after && { links: [linkTo(after)] }) },
      root ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote(known)),
    );
  if (span.isRecording())
    span.setAttributes({ ...(known.orderId && { "bodega.order.id": known.orderId }), ...options.attributes?.() });
  const { fresh: _, ...rest } = known;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    context: { ...rest, traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
    set: (more) => void span.setAttributes(more),
    end(error) {
      if (error !== undefined) {
        span.recordException(error instanceof Error ? error : String(error));
        span.setAttribute("error.type", error instanceof Error ? error.name : "Error");
        span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
      }
      span.end();
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

function isUnrecorded(parent: Context | undefined): boolean {
  return parent !== undefined && !parent.fresh && !parent.sampled;
}

function linkTo(context: Context): Link {
  return { context: remote(context) };
}

function remote({ traceId, spanId, sampled }: Context) {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}
