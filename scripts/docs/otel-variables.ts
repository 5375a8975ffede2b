// OpenTelemetry's own variables, as far as they are understood: packages/telemetry/otel-config.ts.

export interface Variable {
  name: string;
  unset: string;
  meaning: string;
}

export const OTEL: Variable[] = [
  {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    unset: "nothing is sent",
    meaning:
      "an OpenTelemetry collector, such as `http://collector:4318`: traces and log lines go there ([observability.md](observability.md))",
  },
  {
    name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    unset: "`/v1/traces` below it",
    meaning: "where traces go, as it is; alone, only they are sent",
  },
  {
    name: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    unset: "`/v1/logs` below it",
    meaning: "where log lines go besides stdout; alone, only they are sent",
  },
  { name: "OTEL_EXPORTER_OTLP_HEADERS", unset: "none", meaning: "`key=value` by comma, sent along, such as a token" },
  { name: "OTEL_EXPORTER_OTLP_PROTOCOL", unset: "`http/protobuf`", meaning: "the only one there is" },
  {
    name: "OTEL_EXPORTER_OTLP_TIMEOUT",
    unset: "`10000`",
    meaning: "how many milliseconds a collector may take; what it did not take is dropped, and nobody waits",
  },
  { name: "OTEL_TRACES_EXPORTER", unset: "`otlp`", meaning: "`none` sends no traces" },
  { name: "OTEL_LOGS_EXPORTER", unset: "`otlp`", meaning: "`none` sends no log lines" },
  { name: "OTEL_SDK_DISABLED", unset: "`false`", meaning: "`true` sends nothing, whatever else is set" },
  {
    name: "OTEL_TRACES_SAMPLER",
    unset: "`parentbased_always_on`",
    meaning:
      "which traces that begin here are recorded: `always_on`, `always_off` or `traceidratio`, after `parentbased_` only where the caller has not decided",
  },
  { name: "OTEL_TRACES_SAMPLER_ARG", unset: "`1`", meaning: "the share that `traceidratio` records" },
  {
    name: "OTEL_SERVICE_NAME",
    unset: "each service its own",
    meaning: "one name for all of this process",
  },
  {
    name: "OTEL_RESOURCE_ATTRIBUTES",
    unset: "none",
    meaning: "`key=value` by comma, on all that is sent, such as `deployment.environment.name=prod`",
  },
  { name: "OTEL_BSP_SCHEDULE_DELAY", unset: "`1000`", meaning: "milliseconds between two sendings" },
  {
    name: "OTEL_BSP_MAX_QUEUE_SIZE",
    unset: "`2048`",
    meaning: "how many spans, and log lines, wait; what comes on top is dropped",
  },
  { name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", unset: "`512`", meaning: "how many are sent at one time" },
];
