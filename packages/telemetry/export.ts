// Traces and log lines by OTLP; without an endpoint it is not even loaded.
import type { Line } from "./log.ts";
import type { Batch, Destination, Exporting } from "./otel-config.ts";
import { linesRequest, spansRequest } from "./otlp.ts";
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
}

/** At the end of the process nobody waits longer for a collector. */
const CLOSE_MS = 2_000;

export function startExport(options: ExportOptions): Export {
  const { traces, logs, batch, say, sampler } = options;
  const resourceOf = (service: string) => ({
    "service.namespace": "bodega",
    "service.version": options.version,
    "service.instance.id": options.instance,
    ...options.resource,
    "service.name": options.serviceName ?? options.resource["service.name"] ?? service,
  });
  const spans = traces && createOutlet<Span>("traces", traces, batch, (each) => spansRequest(each, resourceOf), say);
  const lines = logs && createOutlet<Line>("logs", logs, batch, (each) => linesRequest(each, resourceOf), say);
  if (spans) setTracing({ sampling: sampler, ended: spans.put });
  return {
    line: lines ? lines.put : () => {},
    async close() {
      if (spans) setTracing(undefined);
      const late = Promise.withResolvers<void>();
      const limit = setTimeout(late.resolve, CLOSE_MS);
      await Promise.race([Promise.all([spans?.close(), lines?.close()]), late.promise]);
      clearTimeout(limit);
    },
  };
}

interface Outlet<T> {
  put(item: T): void;
  close(): Promise<void>;
}

/** Sends in batches, one at a time. What a collector cannot take now waits until it can, up to `queueMax`; what comes on top is dropped. */
function createOutlet<T>(
  signal: string,
  destination: Destination,
  { delayMs, queueMax, batchMax }: Batch,
  encode: (items: T[]) => Uint8Array<ArrayBuffer>,
  say: ExportOptions["say"],
): Outlet<T> {
  const { url } = destination;
  const queue: T[] = [];
  let sending: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lost = false;
  let away = false;
  let overflown = false;
  let closing = false;

  function put(item: T) {
    if (queue.length >= queueMax) {
      overflown = true;
      return;
    }
    if (queue.push(item) >= batchMax && !away) void flush();
    else wait();
  }

  function wait() {
    if (queue.length > 0 && !closing) timer ??= setTimeout(flush, delayMs);
  }

  function flush() {
    clearTimeout(timer);
    timer = undefined;
    sending ??= send().finally(() => {
      sending = undefined;
      wait();
    });
    return sending;
  }

  async function send() {
    do {
      const batch = queue.slice(0, batchMax);
      const trouble = await post(destination, () => encode(batch));
      const error = trouble?.error ?? (overflown ? `more than ${queueMax} waited` : undefined);
      if (error && !lost) say("telemetry.lost", { signal, url, error });
      if (!error && lost) say("telemetry.back", { signal, url });
      lost = error !== undefined;
      away = trouble?.passes === true;
      overflown = false;
      if (away) return;
      queue.splice(0, batch.length);
    } while (queue.length >= (closing ? 1 : batchMax));
  }

  return {
    put,
    async close() {
      closing = true;
      await sending;
      if (queue.length > 0) await flush();
    },
  };
}

/** Those that the protocol says are worth another try: too much at once, or nobody there. */
const PASSING = [429, 502, 503, 504];

/** Why it was not taken, and whether it may be another time. */
interface Trouble {
  error: string;
  passes: boolean;
}

async function post(
  { url, headers, timeoutMs }: Destination,
  encode: () => Uint8Array<ArrayBuffer>,
): Promise<Trouble | undefined> {
  let passes = false;
  try {
    const body = encode();
    passes = true;
    const answer = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/x-protobuf" },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const said = await answer.text();
    if (answer.ok) return undefined;
    return { error: `answered with ${answer.status} ${said.slice(0, 200)}`, passes: PASSING.includes(answer.status) };
  } catch (error) {
    return { error: String(error), passes };
  }
}
