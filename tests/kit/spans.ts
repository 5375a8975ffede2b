import type { Sampling } from "../../packages/telemetry/otel-config.ts";
import { type Span, setTracing } from "../../packages/telemetry/trace.ts";

export interface Spans {
  all(): Span[];
  /** Of the traces that some span says are about this order. */
  about(orderId: string): Span[];
  close(): void;
}

/** Records the spans of this process from here on. */
export function recordSpans(sampling: Sampling = { parentBased: true, ratio: 1 }): Spans {
  const spans: Span[] = [];
  setTracing({ sampling, ended: (span) => spans.push(span) });
  return {
    all: () => spans,
    about(orderId) {
      const traces = new Set(
        spans.flatMap(({ traceId, attributes }) => (attributes["bodega.order.id"] === orderId ? traceId : [])),
      );
      return spans.filter(({ traceId }) => traces.has(traceId));
    },
    close: () => setTracing(undefined),
  };
}

/** Spans whose parent is nowhere. */
export function orphans(spans: Span[]): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  return spans.flatMap(({ name, parentId }) => (parentId && !ids.has(parentId) ? name : []));
}

/** From the root down to this span: "service name". */
export function pathTo(span: Span, spans: Span[]): string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentId);
  return [...(parent ? pathTo(parent, spans) : []), `${span.service}: ${span.name}`];
}
