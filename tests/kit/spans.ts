import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { startExport } from "../../packages/telemetry/export.ts";
import type { Sampling } from "../../packages/telemetry/otel-config.ts";

export interface Spans {
  all(): ReadableSpan[];
  /** Of the traces that some span says are about this order. */
  about(orderId: string): ReadableSpan[];
  close(): Promise<void>;
}

/** Records the spans of this process from here on. */
export function recordSpans(sampler: Sampling = { parentBased: true, ratio: 1 }): Spans {
  const memory = new InMemorySpanExporter();
  const { close } = startExport({
    sampler,
    resource: {},
    batch: { batchMax: 1, queueMax: 1, delayMs: 1 },
    say: () => {},
    instance: "test",
    version: "test",
    spans: new SimpleSpanProcessor({ exporter: memory }),
  });
  const all = () => memory.getFinishedSpans();
  return {
    all,
    about(orderId) {
      const traces = new Set(
        all().flatMap((span) => (span.attributes["bodega.order.id"] === orderId ? traceOf(span) : [])),
      );
      return all().filter((span) => traces.has(traceOf(span)));
    },
    close,
  };
}

export function traceOf(span: ReadableSpan): string {
  return span.spanContext().traceId;
}

export function serviceOf({ resource }: ReadableSpan): string {
  return String(resource.attributes["service.name"]);
}

/** Spans whose parent is nowhere. */
export function orphans(spans: ReadableSpan[]): string[] {
  const ids = new Set(spans.map((span) => span.spanContext().spanId));
  return spans.flatMap(({ name, parentSpanContext }) =>
    parentSpanContext && !ids.has(parentSpanContext.spanId) ? name : [],
  );
}

/** From the root down to this span: "service name". */
export function pathTo(span: ReadableSpan, spans: ReadableSpan[]): string[] {
  const parent = spans.find((each) => each.spanContext().spanId === span.parentSpanContext?.spanId);
  return [...(parent ? pathTo(parent, spans) : []), `${serviceOf(span)}: ${span.name}`];
}
