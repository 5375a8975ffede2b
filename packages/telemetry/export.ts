// Traces and log lines by OTLP. The only file that knows OpenTelemetry's SDK; without an endpoint it is not even loaded.
import { type Logger, ROOT_CONTEXT, SeverityNumber, TraceFlags, type Tracer, trace } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  SamplingDecision,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Line } from "./log.ts";
import type { Batch, Destination, Exporting, Sampling } from "./otel-config.ts";
import { setTracing } from "./trace.ts";

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
  spans?: SpanProcessor;
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

  function sendingSpans(destination: Destination): SpanProcessor {
    const outlet = createOutlet(new OTLPTraceExporter(sentTo(destination, batch)), waitsFor("traces", destination));
    return countedBy(outlet.put, new BatchSpanProcessor({ ...waits, exporter: outlet.exporter }));
  }

  const spans = options.spans ?? (traces && sendingSpans(traces));
  if (spans) {
    const ids = createIds();
    const provider = perService((service) =>
      new TracerProvider({
        resource: resourceOf(service),
        sampler: samplerOf(options.sampler),
        idGenerator: ids,
        spanProcessors: [spans],
      }).getTracer("bodega", options.version),
    );
    trace.setGlobalTracerProvider({ getTracer: provider });
    setTracing({ parentBased: options.sampler.parentBased, nextTraceId: ids.next });
    closers.push(async () => {
      setTracing(undefined);
      trace.disable();
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
function perService<T extends Tracer | Logger>(make: (service: string) => T): (service: string) => T {
  const made = new Map<string, T>();
  return (service) => {
    const known = made.get(service) ?? make(service);
    made.set(service, known);
    return known;
  };
}

/** The trace of a request has its id before its first span, in log lines and headers: the root takes that one. */
function createIds() {
  const random = new RandomIdGenerator();
  let wanted: string | undefined;
  return {
    next: (traceId: string) => {
      wanted = traceId;
    },
    generateTraceId() {
      const id = wanted ?? random.generateTraceId();
      wanted = undefined;
      return id;
    },
    generateSpanId: () => random.generateSpanId(),
  };
}

function samplerOf({ parentBased, ratio }: Sampling): Sampler {
  const root =
    ratio === 1 ? new AlwaysOnSampler() : ratio === 0 ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root: afterAnother(root) }) : root;
}

/** A trace that points back to one that is recorded goes on with it: asked anew, one in a hundred of one in a hundred would be. */
function afterAnother(root: Sampler): Sampler {
  return {
    shouldSample(context, traceId, name, kind, attributes, links) {
      if (links.some((link) => link.context.traceFlags & TraceFlags.SAMPLED))
        return { decision: SamplingDecision.RECORD_AND_SAMPLED };
      return root.shouldSample(context, traceId, name, kind, attributes, links);
    },
    toString: () => `AfterAnother{${root}}`,
  };
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

/** The processor, and how many spans came to it. */
function countedBy(put: () => void, processor: SpanProcessor): SpanProcessor {
  return {
    onStart: (span, context) => processor.onStart(span, context),
    onEnd(span) {
      put();
      processor.onEnd(span);
    },
    forceFlush: () => processor.forceFlush(),
    shutdown: () => processor.shutdown(),
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
