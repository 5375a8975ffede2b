import { readFileSync } from "node:fs";
import {
  type Bar,
  bar,
  errorOf,
  medianRun,
  type Run,
  rateOf,
  ratioOf,
  sentenceOf,
  table,
  verdictOf,
} from "./figures.ts";
import type { Report } from "./run.ts";
import { type Side, sideBySide } from "./side-by-side.ts";
import { startStack } from "./stack.ts";

/** What of the rate without tracing is left, at least. */
const GATES: Record<string, number> = { "1 %": 0.97, "100 %": 0.85, silent: 0.85 };
/** Which share is recorded; to "silent" the collector never answers. */
const SAMPLED: Record<string, string | undefined> = { off: undefined, "1 %": "0.01", "100 %": "1", silent: "1" };
/** What a collector that never answers may add to the slowest in a hundred: what one run differs from the next by. */
const P99_MOST = 1.2;

/** A collector, and how often something came to it. */
interface Collector {
  env: Record<string, string>;
  sent: () => number;
  close(): Promise<void>;
}

/** Placing orders without tracing, with one trace in a hundred, with all, and with all for a collector that never answers. */
export async function placeOrderTraced(quick: boolean): Promise<Report> {
  const collectors = Object.entries(SAMPLED).map(([mode, share]) => ({
    mode,
    ...startCollector(share, mode !== "silent"),
  }));
  try {
    const stacks = collectors.map(({ mode, env }) => [mode, () => startStack(env)]);
    return await sideBySide(Object.fromEntries(stacks), quick, (sides) => report(sides, collectors));
  } finally {
    for (const { close } of collectors) await close();
  }
}

function startCollector(share: string | undefined, answers: boolean): Collector {
  let sent = 0;
  const ended = Promise.withResolvers<Response>();
  const collector = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(req) {
      await req.arrayBuffer();
      sent += 1;
      return answers ? new Response() : ended.promise;
    },
  });
  const traced = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://127.0.0.1:${collector.port}`,
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: share ?? "",
  };
  return {
    env: share ? traced : {},
    sent: () => sent,
    close() {
      ended.resolve(new Response());
      return collector.stop(true);
    },
  };
}

function report(modes: Map<string, Side>, collectors: ({ mode: string } & Collector)[]): Report {
  const runsAt = (mode: string) => modes.get(mode)?.runs ?? [];
  const ofOff = (mode: string, figure: (run: Run) => number) => ratioOf(runsAt(mode), runsAt("off"), figure);
  const within = (mode: string) => errorOf(runsAt(mode), runsAt("off"), rateOf);
  const verdicts = Object.entries(GATES).map(([mode, gate]) => ({
    mode,
    within: within(mode),
    ...verdictOf(ofOff(mode, rateOf), 1, gate),
  }));
  const waits = waitsFor(runsAt("silent"), runsAt("100 %"));
  const void_ = wrong(modes, collectors);
  const rows = Array.from(modes, ([mode, { runs }]) => {
    const { p50Ms, p99Ms, cpuMicros, ...run } = medianRun(runs);
    const cpu = ofOff(mode, (each) => each.cpuMicros.server);
    const figures = [rateOf(run), ofOff(mode, rateOf), within(mode), p50Ms, p99Ms, cpuMicros.server, cpu];
    return [mode, ...figures.map((figure) => figure.toFixed(2))];
  });
  const head = ["traced", "orders/s", "of off", "+-", "p50 ms", "p99 ms", "CPU us: server", "of off"];
  const said = verdicts.map(
    ({ mode, ratio, within, gate, met }) =>
      `${met ? "met" : "MISSED"}: ${ratio.toFixed(2)} +- ${within.toFixed(2)} of the rate without tracing at ${mode}, the gate is ${gate}`,
  );
  return {
    text: `${table(head, rows)}\n\n${void_ ? `VOID: ${void_}` : [...said, sentenceOf(waits)].join("\n")}`,
    figures: {
      runs: Object.fromEntries(Array.from(modes, ([mode, { runs }]) => [mode, runs])),
      verdicts,
      waits,
      void: void_ ?? null,
    },
    passed: !void_ && waits.met && verdicts.every(({ met }) => met),
  };
}

function waitsFor(silent: Run[], answering: Run[]): Bar {
  const ratio = ratioOf(silent, answering, ({ p99Ms }) => p99Ms);
  return bar("p99 of placing with a collector that never answers, of that with one that does", ratio, P99_MOST);
}

/** Figures of what did not happen are worth nothing. */
function wrong(modes: Map<string, Side>, collectors: ({ mode: string } & Collector)[]): string | undefined {
  for (const { mode, sent } of collectors) {
    const { failed = 0, failure, stack } = modes.get(mode)?.bench ?? {};
    if (failed > 0) return `${mode}: ${failed} requests failed: ${failure}`;
    if ((mode === "off") !== (sent() === 0)) return `${mode}: ${sent()} batches of spans came to the collector`;
    const lost = stack !== undefined && readFileSync(stack.logFile, "utf8").includes("telemetry.lost");
    if (lost !== (mode === "silent"))
      return `${mode}: ${lost ? "spans were lost" : "nothing was said of what was lost"}`;
  }
  return undefined;
}
