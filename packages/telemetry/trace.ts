import {
  type Attributes,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { type Context, currentContext, withContext } from "./context.ts";

const tracer = trace.getTracer("bodega");

/** Runs `work` in a span under the current context. Without an OpenTelemetry SDK it costs next to nothing. */
export async function span<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  const parent = currentContext();
  const opened = tracer.startSpan(name, { attributes }, otelContext(parent));
  const { traceId, spanId } = opened.spanContext();
  const inside = parent && isSpanContextValid(opened.spanContext()) ? { ...parent, traceId, spanId } : parent;
  try {
    return await (inside ? withContext(inside, work) : work());
  } catch (error) {
    opened.recordException(error instanceof Error ? error : String(error));
    opened.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    opened.end();
  }
}

function otelContext(context: Context | undefined) {
  if (!context) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { ...context, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}
