import { expect, test } from "bun:test";
import { readExporting } from "./otel-config.ts";

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" };

test("without an endpoint nothing is exported, nor where OpenTelemetry is switched off", () => {
  expect(readExporting({})).toBeUndefined();
  expect(readExporting({ ...ENDPOINT, OTEL_SDK_DISABLED: "true" })).toBeUndefined();
  expect(readExporting({ ...ENDPOINT, OTEL_TRACES_EXPORTER: "none", OTEL_LOGS_EXPORTER: "none" })).toBeUndefined();
});

test("each signal has its path below the endpoint, or an endpoint of its own, taken as it is", () => {
  expect(readExporting(ENDPOINT)).toMatchObject({
    traces: { url: "http://collector:4318/v1/traces", headers: {}, timeoutMs: 10_000 },
    logs: { url: "http://collector:4318/v1/logs" },
    sampler: { parentBased: true, ratio: 1 },
  });
  const own = readExporting({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://tempo:4318/in" });
  expect(own).toMatchObject({ traces: { url: "http://tempo:4318/in" } });
  expect(own?.logs).toBeUndefined();
});

test("the samplers of the specification are known by their names", () => {
  const sampler = (name: string, argument = "") =>
    readExporting({ ...ENDPOINT, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: argument })?.sampler;
  expect(sampler("always_on")).toEqual({ parentBased: false, ratio: 1 });
  expect(sampler("always_off")).toEqual({ parentBased: false, ratio: 0 });
  expect(sampler("parentbased_always_off")).toEqual({ parentBased: true, ratio: 0 });
  expect(sampler("parentbased_traceidratio", "0.01")).toEqual({ parentBased: true, ratio: 0.01 });
  expect(sampler("traceidratio")).toEqual({ parentBased: false, ratio: 1 });
});

test.each([
  [{ OTEL_TRACES_SAMPLER: "sometimes" }, "OTEL_TRACES_SAMPLER must be"],
  [{ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }, "OTEL_TRACES_SAMPLER_ARG must be"],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" }, "OTEL_EXPORTER_OTLP_ENDPOINT must be"],
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, "OTEL_EXPORTER_OTLP_PROTOCOL must be"],
  [{ OTEL_EXPORTER_OTLP_HEADERS: "secret" }, "OTEL_EXPORTER_OTLP_HEADERS must be"],
  [{ OTEL_TRACES_EXPORTER: "zipkin" }, "OTEL_TRACES_EXPORTER must be"],
  [{ OTEL_BSP_MAX_QUEUE_SIZE: "0" }, "OTEL_BSP_MAX_QUEUE_SIZE must be"],
  [{ OTEL_BSP_MAX_QUEUE_SIZE: "100" }, "OTEL_BSP_MAX_QUEUE_SIZE must be at least"],
])("%p is refused by name", (env, says) => {
  expect(() => readExporting({ ...ENDPOINT, ...env })).toThrow(says);
});

test("values are percent-encoded, and an equals sign in one is part of it", () => {
  const headers = { OTEL_EXPORTER_OTLP_HEADERS: "authorization=Basic%20YTpi==, x-scope = shop" };
  expect(readExporting({ ...ENDPOINT, ...headers })?.traces?.headers).toEqual({
    authorization: "Basic YTpi==",
    "x-scope": "shop",
  });
});

test.each([
  { OTEL_EXPORTER_OTLP_ENDPOINT: "http://shop:hidden@collector:4318" },
  { OTEL_EXPORTER_OTLP_ENDPOINT: "shop:hidden@collector:4318" },
  { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "https://collector/v1/logs?key=hidden" },
  { OTEL_EXPORTER_OTLP_HEADERS: "authorization=hidden%0d%0ax: y" },
  { OTEL_EXPORTER_OTLP_HEADERS: "authorization=hidden%zz" },
  { OTEL_EXPORTER_OTLP_HEADERS: "hidden" },
])("a secret that would be shown where nothing arrives is refused by name, and not shown: %p", (env) => {
  const read = () => readExporting({ ...ENDPOINT, ...env });
  expect(read).toThrow(Object.keys(env)[0] ?? "");
  expect(read).not.toThrow("hidden");
});
