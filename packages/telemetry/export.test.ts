import { afterEach, expect, test } from "bun:test";
import { contextFrom, currentContext } from "./context.ts";
import { type Export, startExport } from "./export.ts";
import { readExporting } from "./otel-config.ts";
import { openSpan, span } from "./trace.ts";

const QUEUE_MAX = 64;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Collector {
  url: string;
  /** Whether it answers. */
  answers: boolean;
  received: { path: string; authorization: string | null; text: string }[];
}

/** Takes whatever it is sent; answers only if it should. */
function startCollector(): Collector {
  const silent = Promise.withResolvers<Response>();
  const received: Collector["received"] = [];
  const collector: Collector = { url: "", answers: true, received };
  const server = Bun.serve({
    port: 0,
    async fetch(req): Promise<Response> {
      const text = Buffer.from(await req.arrayBuffer()).toString("latin1");
      received.push({ path: new URL(req.url).pathname, authorization: req.headers.get("authorization"), text });
      return collector.answers ? new Response() : silent.promise;
    },
  });
  closers.push(() => {
    silent.resolve(new Response());
    return server.stop(true);
  });
  collector.url = `http://127.0.0.1:${server.port}`;
  return collector;
}

function exportTo({ url }: { url: string }, said: string[] = [], env: Record<string, string> = {}): Export {
  const exporting = readExporting({
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_TIMEOUT: "100",
    OTEL_BSP_SCHEDULE_DELAY: "5",
    OTEL_BSP_MAX_QUEUE_SIZE: String(QUEUE_MAX),
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: String(QUEUE_MAX),
    ...env,
  });
  if (!exporting) throw new Error("expected something to export to");
  const say = (event: string, { signal }: { signal: string }) => void said.push(`${event} ${signal}`);
  const started = startExport({ ...exporting, say, instance: "here", version: "1" });
  closers.push(started.close);
  return started;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds(); looks++) {
    if (looks > 1_000) throw new Error(`waited in vain until ${what}`);
    await Bun.sleep(5);
  }
}

test("spans and log lines go where the variables say, with their headers, under each service's own name", async () => {
  const collector = startCollector();
  const { line, close } = exportTo(collector, [], { OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20t0ken" });
  await span("order", "placing", { attributes: () => ({ "bodega.order.id": "order-7" }) }, async () => {
    const context = currentContext();
    line({
      ...{ time: "2026-01-05T08:00:00.000Z", level: "info", event: "rpc.done", service: "stock" },
      ...{ trace_id: context?.traceId, span_id: context?.spanId, order_id: "order-7" },
    });
  });
  await close();
  const of = (path: string) => collector.received.filter((each) => each.path === path);
  expect(collector.received.every(({ authorization }) => authorization === "Bearer t0ken")).toBe(true);
  expect(
    of("/v1/traces")
      .map(({ text }) => text)
      .join(),
  ).toMatch(/service\.name.*order.*placing.*bodega\.order\.id.*order-7/s);
  expect(
    of("/v1/logs")
      .map(({ text }) => text)
      .join(),
  ).toMatch(/service\.name.*stock.*rpc\.done.*order_id.*order-7/s);
});

test("ids are sent as bytes, what is long is sent whole, and a failure tells what failed", async () => {
  const collector = startCollector();
  const { close } = exportTo(collector, [], { OTEL_LOGS_EXPORTER: "none" });
  const parent = contextFrom(null, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const opened = openSpan("order", "placing", { parent, attributes: () => ({ cheers: "é".repeat(5_000) }) });
  opened?.end(new RangeError("out of pears"));
  await close();
  const text = collector.received.map((each) => each.text).join("");
  const bytes = Buffer.from(text, "latin1");
  for (const id of [parent.traceId, parent.spanId, opened?.context.spanId ?? "none"])
    expect(bytes.toString("hex")).toContain(id);
  expect(bytes.toString()).toContain("é".repeat(5_000));
  expect(text).toMatch(/error\.type.*RangeError/s);
  expect(text).toMatch(/exception\.type.*RangeError.*exception\.message.*out of pears.*exception\.stacktrace/s);
});

test("a collector that never answers holds nothing up, keeps no more than the queue, and is told of once until it is back", async () => {
  const collector = startCollector();
  collector.answers = false;
  const said: string[] = [];
  exportTo(collector, said, { OTEL_LOGS_EXPORTER: "none" });
  const burst = (name: string, count: number) => {
    for (let each = 0; each < count; each++) openSpan("order", name)?.end();
  };
  for (let bursts = 0; bursts < 20; bursts++) {
    burst("lost", 1_000);
    await Bun.sleep(20);
  }
  await until("the loss is told", () => said.length > 0);
  expect(said).toEqual(["telemetry.lost traces"]);
  collector.answers = true;
  const before = collector.received.length;
  await until("it is back", () => {
    burst("found", 1);
    return said.length > 1;
  });
  // A busy machine may be slow once more.
  expect(said.slice(0, 2)).toEqual(["telemetry.lost traces", "telemetry.back traces"]);
  await until("what was kept has arrived", () =>
    collector.received.slice(before).some(({ text }) => text.includes("found")),
  );
  const kept = collector.received.slice(before).flatMap(({ text }) => text.match(/lost/g) ?? []);
  expect(kept.length).toBeLessThanOrEqual(2 * QUEUE_MAX);
});

test("without an exporter a span is not even named", () => {
  const opened = openSpan("order", () => expect.unreachable(), { attributes: () => expect.unreachable() });
  expect(opened).toBeUndefined();
});

test("more than a batch at once arrives whole, and nothing is told", async () => {
  const collector = startCollector();
  const said: string[] = [];
  const { close } = exportTo(collector, said, { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "7", OTEL_LOGS_EXPORTER: "none" });
  for (let each = 0; each < QUEUE_MAX; each++) openSpan("order", "one of many")?.end();
  await close();
  expect(collector.received.flatMap(({ text }) => text.match(/one of many/g) ?? [])).toHaveLength(QUEUE_MAX);
  expect(said).toEqual([]);
});

test("what there is no room for is told of", async () => {
  const said: string[] = [];
  const { line } = exportTo(startCollector(), said);
  for (let each = 0; each < 3 * QUEUE_MAX; each++) {
    openSpan("order", "one too many")?.end();
    line({ time: "2026-01-05T08:00:00.000Z", level: "info", event: "one too many" });
  }
  const told = (event: string) => ["traces", "logs"].every((signal) => said.includes(`telemetry.${event} ${signal}`));
  await until("the losses are told", () => told("lost"));
  await until("they are over", () => {
    openSpan("order", "after it")?.end();
    line({ time: "2026-01-05T08:00:00.000Z", level: "info", event: "after it" });
    return told("back");
  });
});

test("a trace after one that is recorded is recorded, however seldom one is; after another none is", () => {
  const sampler = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" };
  exportTo(startCollector(), [], sampler);
  const told = (flags: string) => contextFrom(null, `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`);
  const opened = openSpan("order", "hours later", { after: told("01") });
  expect(opened?.context.sampled).toBe(true);
  expect(opened?.context.traceId).not.toBe(told("01").traceId);
  opened?.end();
  expect(openSpan("order", "hours later", { after: told("00") })).toBeUndefined();
});

test("a collector that is not there keeps the process from ending for no longer than a moment", async () => {
  const said: string[] = [];
  const { close } = exportTo({ url: "http://127.0.0.1:1" }, said);
  openSpan("order", "nowhere")?.end();
  await close();
  expect(said).toEqual(["telemetry.lost traces"]);
});

test("a name of the whole process and attributes of its resource are taken from the variables", async () => {
  const collector = startCollector();
  const { close } = exportTo(collector, [], {
    OTEL_SERVICE_NAME: "shop",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
  });
  openSpan("order", "named")?.end();
  await close();
  expect(collector.received.map(({ text }) => text).join()).toMatch(
    /deployment\.environment\.name.*test.*service\.name.*shop/s,
  );
});
