/** Where traces and log lines go, by OpenTelemetry's own variables. */
export interface Exporting {
  traces?: Destination;
  logs?: Destination;
  sampler: Sampling;
  /** Of the whole process; left out, each service has its own name. */
  serviceName?: string;
  resource: Record<string, string>;
  /** Left out: as the specification says. */
  batch: Batch;
}

export interface Destination {
  url: string;
  headers: Record<string, string>;
  timeoutMs: number;
}

/** Which traces that begin here are recorded, and whether those that come from elsewhere are recorded as their beginning says. */
export interface Sampling {
  parentBased: boolean;
  ratio: number;
}

export interface Batch {
  delayMs: number;
  queueMax: number;
  batchMax: number;
}

type Environment = Record<string, string | undefined>;

const TIMEOUT_MS = 10_000;

/** Undefined where nothing is exported. Throws with a sentence that names the variable. */
export function readExporting(env: Environment): Exporting | undefined {
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined;
  const protocol = env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/protobuf";
  if (protocol !== "http/protobuf")
    throw new Error(`OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, found ${protocol}`);
  const base = httpUrl("OTEL_EXPORTER_OTLP_ENDPOINT", env["OTEL_EXPORTER_OTLP_ENDPOINT"])?.replace(/\/$/, "");
  const tracesUrl = httpUrl("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);
  const logsUrl = httpUrl("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]);
  const exports = (name: string, exporter = "otlp") => {
    if (exporter !== "otlp" && exporter !== "none") throw new Error(`${name} must be otlp or none, found ${exporter}`);
    return exporter === "otlp";
  };
  const to = (url: string) => ({
    url,
    headers: pairs("OTEL_EXPORTER_OTLP_HEADERS", env["OTEL_EXPORTER_OTLP_HEADERS"], /^[ -~]*$/),
    timeoutMs: whole(env, "OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS),
  });
  const traces =
    exports("OTEL_TRACES_EXPORTER", env["OTEL_TRACES_EXPORTER"] || undefined) &&
    (tracesUrl ?? (base && `${base}/v1/traces`));
  const logs =
    exports("OTEL_LOGS_EXPORTER", env["OTEL_LOGS_EXPORTER"] || undefined) && (logsUrl ?? (base && `${base}/v1/logs`));
  if (!traces && !logs) return undefined;
  const serviceName = env["OTEL_SERVICE_NAME"];
  return {
    ...(traces && { traces: to(traces) }),
    ...(logs && { logs: to(logs) }),
    sampler: sampling(env),
    ...(serviceName && { serviceName }),
    resource: pairs("OTEL_RESOURCE_ATTRIBUTES", env["OTEL_RESOURCE_ATTRIBUTES"], /^\P{Cc}*$/u),
    batch: batch(env),
  };
}

function httpUrl(name: string, url: string | undefined): string | undefined {
  if (!url) return undefined;
  // It is shown where nothing arrives.
  if (/^(?:[^/?#]*\/\/)?[^/?#]*@/.test(url) || /[?#]/.test(url))
    throw new Error(
      `${name} must hold no user, no password and no query: OTEL_EXPORTER_OTLP_HEADERS is for what is secret`,
    );
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new Error(`${name} must be of the form http://host:4318, found ${url}`);
  return url;
}

function batch(env: Environment): Batch {
  const batchMax = whole(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512);
  const queueMax = whole(env, "OTEL_BSP_MAX_QUEUE_SIZE", 2_048);
  if (queueMax < batchMax)
    throw new Error(
      `OTEL_BSP_MAX_QUEUE_SIZE must be at least OTEL_BSP_MAX_EXPORT_BATCH_SIZE, ${batchMax}, found ${queueMax}`,
    );
  return { batchMax, queueMax, delayMs: whole(env, "OTEL_BSP_SCHEDULE_DELAY", 1_000) };
}

function sampling(env: Environment): Sampling {
  const name = env["OTEL_TRACES_SAMPLER"] || "parentbased_always_on";
  const [, parent, kind] = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name) ?? [];
  if (!kind)
    throw new Error(
      `OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, with or without parentbased_ before it, found ${name}`,
    );
  const argument = env["OTEL_TRACES_SAMPLER_ARG"] || "1";
  const ratio = kind === "traceidratio" ? Number(argument) : kind === "always_on" ? 1 : 0;
  if (!(ratio >= 0 && ratio <= 1))
    throw new Error(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, found ${argument}`);
  return { parentBased: parent !== undefined, ratio };
}

/** As in W3C Baggage: key=value by comma, values percent-encoded. They may be secret, so a complaint does not show them. */
function pairs(name: string, text: string | undefined, form: RegExp): Record<string, string> {
  const parts = (text ?? "").split(",").filter((part) => part.trim());
  return Object.fromEntries(
    parts.map((part) => {
      const [key = "", value] = part.split(/=(.*)/s, 2).map((each) => each.trim());
      if (key === "" || value === undefined) throw new Error(`${name} must be of the form key=value,key=value`);
      return [key, readable(name, key, value, form)];
    }),
  );
}

/** What cannot stand in a header would only be found out when something is sent, and shown then. */
function readable(name: string, key: string, text: string, form: RegExp): string {
  const why = `${name}: the value of ${key} must be printable, and percent-encoded where it is more than letters`;
  let value: string;
  try {
    value = decodeURIComponent(text);
  } catch (cause) {
    throw new Error(why, { cause });
  }
  if (!form.test(value)) throw new Error(why);
  return value;
}

function whole(env: Environment, name: string, unset: number): number {
  const value = Number(env[name] || unset);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`${name} must be a whole number above 0, found ${env[name]}`);
  return value;
}
