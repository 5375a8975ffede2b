// Traces and log lines by OTLP. The only file that knows OpenTelemetry's SDK; without an endpoint it is not even loaded.
import {
  type Logger,
  ROOT_CONTEXT,
  SeverityNumber,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, millisToHrTime } from "@opentelemetry/core";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  SamplingDecision,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { Context } from "./context.ts";
import type { Line } from "./log.ts";
import type { Batch, Destination, Exporting } from "./otel-config.ts";
import { type Span, setTracing } from "./trace.ts";

export interface Export {
  /** Sends a log line too; does nothing where lines stay here. */
  line(line: Line): void;
  /** Sends what waits, for no longer than a moment. */
  close(): Promise<void>;
}

export interface ExportOptions extends Exporting {
  /** Told once that nothing arrives any more, and once that it does again. */
  say: (event: "telemetry.lost" | "telemetry.back", fields: { signal: string; url: string; error?: string }) => void;
  /** Of this process. */
  instance: string;
  version: string;
  /** In place of OTLP, for tests. */
  spans?: Pick<SpanProcessor, "onEnd" | "shutdown">;
}

/** At the end of the process nobody waits longer for a collector. */
const CLOSE_MS = 2_000;
const SEVERITY = { info: SeverityNumber.INFO, warn: SeverityNumber.WARN, error: SeverityNumber.ERROR };

export function startExport(options: ExportOptions): Export {
  const { traces, logs, batch, say } = options;
  const closers: (() => Promise<void>)[] = [];
  const resourceOf = (service: string) =>
    resourceFromAttributes({
      "service.namespace": "bodega",
      "service.version": options.version,
      "service.instance.id": options.instance,
      ...options.resource,
      "service.name": options.serviceName ?? options.resource["service.name"] ?? service,
    });
  const waits = {
    scheduledDelayMillis: batch.delayMs,
    maxQueueSize: batch.queueMax,
    maxExportBatchSize: batch.batchMax,
  };

  const waitsFor = (signal: string, { url }: Destination) => ({ signal, url, queueMax: batch.queueMax, say });

  function sendingSpans(destination: Destination): Pick<SpanProcessor, "onEnd" | "shutdown"> {
    const outlet = createOutlet(new OTLPTraceExporter(sentTo(destination, batch)), waitsFor("traces", destination));
    const processor = new BatchSpanProcessor({ ...waits, exporter: outlet.exporter });
    return {
      onEnd(span) {
        outlet.put();
        processor.onEnd(span);
      },
      shutdown: () => processor.shutdown(),
    };
  }

  const spans = options.spans ?? (traces && sendingSpans(traces));
  if (spans) {
    const { parentBased, ratio } = options.sampler;
    const resources = perService(resourceOf);
    const scope = { name: "bodega", version: options.version };
    setTracing({
      parentBased,
      samples: sampling(ratio),
      ended: (span) => spans.onEnd(readable(span, resources(span.service), scope)),
    });
    closers.push(async () => {
      setTracing(undefined);
      await spans.shutdown();
    });
  }

  let line: Export["line"] = () => {};
  if (logs) {
    const outlet = createOutlet(new OTLPLogExporter(sentTo(logs, batch)), waitsFor("logs", logs));
    const records = new BatchLogRecordProcessor({ ...waits, exporter: outlet.exporter });
    const loggerOf = perService((service) =>
      new LoggerProvider({ resource: resourceOf(service), processors: [records] }).getLogger("bodega"),
    );
    line = (each) => {
      outlet.put();
      emit(loggerOf(String(each["service"] ?? "bodega")), each);
    };
    closers.push(() => records.shutdown());
  }
  return {
    line,
    async close() {
      const late = Promise.withResolvers<void>();
      const limit = setTimeout(late.resolve, CLOSE_MS);
      await Promise.race([Promise.allSettled(closers.map((close) => close())), late.promise]);
      clearTimeout(limit);
    },
  };
}

/** A span's service is its resource: in one process with all services each has its own. */
function perService<T extends Resource | Logger>(make: (service: string) => T): (service: string) => T {
  const made = new Map<string, T>();
  return (service) => {
    const known = made.get(service) ?? make(service);
    made.set(service, known);
    return known;
  };
}

const NONE: never[] = [];
const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/** An ended span as the SDK's processors and exporters read it. */
function readable(
  span: Span,
  resource: Resource,
  instrumentationScope: ReadableSpan["instrumentationScope"],
): ReadableSpan {
  const { name, kind, context, parent, after, startMs, durationMs, attributes, error } = span;
  const spanContext = spanContextOf(context);
  const endTime = millisToHrTime(startMs + durationMs);
  const failed = error !== undefined;
  return {
    name,
    kind: KINDS[kind],
    spanContext: () => spanContext,
    ...(parent && { parentSpanContext: spanContextOf(parent) }),
    startTime: millisToHrTime(startMs),
    endTime,
    duration: millisToHrTime(durationMs),
    ended: true,
    status: failed ? { code: SpanStatusCode.ERROR, message: String(error) } : { code: SpanStatusCode.UNSET },
    attributes: failed ? { ...attributes, "error.type": typeOf(error) } : attributes,
    links: after ? [{ context: spanContextOf(after) }] : NONE,
    events: failed ? [{ name: "exception", time: endTime, attributes: exceptionOf(error) }] : NONE,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** In the form of the SDK. */
function spanContextOf({ traceId, spanId, sampled }: Context) {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}

/** By OpenTelemetry's semantic conventions for exceptions. */
function exceptionOf(error: unknown) {
  const stack = error instanceof Error ? error.stack : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return {
    "exception.type": typeOf(error),
    "exception.message": message,
    ...(stack && { "exception.stacktrace": stack }),
  };
}

function typeOf(error: unknown): string {
  return error instanceof Error ? error.name : "Error";
}

/** Decided by the id, so that all processes decide alike. */
function sampling(ratio: number): (traceId: string) => boolean {
  const sampler = new TraceIdRatioBasedSampler(ratio);
  return (traceId) => sampler.shouldSample(ROOT_CONTEXT, traceId).decision === SamplingDecision.RECORD_AND_SAMPLED;
}

/** All that waits may be under way: at the end it is sent at once, and while one batch is being answered the next begins. More are refused by the exporter, and lost. */
function sentTo({ url, headers, timeoutMs }: Destination, { queueMax, batchMax }: Batch) {
  return { url, headers, timeoutMillis: timeoutMs, concurrencyLimit: 1 + Math.ceil(queueMax / batchMax) };
}

interface Exporter<T> {
  export(batch: T[], done: (result: ExportResult) => void): void;
  shutdown(): Promise<void>;
  forceFlush?(): Promise<void>;
}

/** What a collector does not take is dropped, and what there is no room for. That it is, is said once, until all of it is taken again. */
function createOutlet<T>(
  exporter: Exporter<T>,
  { signal, url, queueMax, say }: { signal: string; url: string; queueMax: number; say: ExportOptions["say"] },
) {
  let waiting = 0;
  let overflown = false;
  let lost = false;
  const told: Required<Exporter<T>> = {
    export(batch, done) {
      waiting -= batch.length;
      exporter.export(batch, (result) => {
        const failed = result.code !== ExportResultCode.SUCCESS;
        if ((failed || overflown) && !lost) {
          const error = failed ? String(result.error ?? "no reason was given") : `more than ${queueMax} waited`;
          say("telemetry.lost", { signal, url, error });
        }
        if (!failed && !overflown && lost) say("telemetry.back", { signal, url });
        lost = failed || overflown;
        overflown = false;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
  return {
    exporter: told,
    /** One more: the processor, which drops it when its queue is full, tells nobody. */
    put() {
      if (waiting < queueMax) waiting += 1;
      else overflown = true;
    },
  };
}

function emit(logger: Logger, { time, level, event, service: _, ...fields }: Line): void {
  const { trace_id: traceId, span_id: spanId } = fields;
  logger.emit({
    timestamp: new Date(time),
    severityNumber: SEVERITY[level],
    severityText: level.toUpperCase(),
    body: event,
    eventName: event,
    attributes: Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)),
    ...(typeof traceId === "string" &&
      typeof spanId === "string" && {
        context: trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED }),
      }),
  });
}
