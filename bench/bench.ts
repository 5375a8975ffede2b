// bun run bench [suite ...] [--quick] [--servers] [--tracing] [--listeners] [--json FILE]: figures as ratios to a floor measured in the same run. Without a suite it lists them.
import { cpus } from "node:os";
import { abuse } from "./abuse.ts";
import { facts } from "./facts.ts";
import { overload } from "./overload.ts";
import { type Options, placeOrder } from "./place-order.ts";
import type { Report } from "./run.ts";

const SUITES: Record<string, { says: string; run: (options: Options) => Promise<Report> }> = {
  "place-order": { says: "orders a second through the edge, against the same rows by one statement", run: placeOrder },
  overload: { says: "what comes through when three times as much is asked as can be done", run: overload },
  facts: {
    says: "milliseconds from a fact's commit until another service has handled it, at 1,000 a second",
    run: facts,
  },
  abuse: {
    says: "what strangers can do: tell accounts apart by time, flood, hold connections, draw the schema, fill memory; loopback only",
    run: abuse,
  },
};

const USAGE = `bun run bench <suite ...> [--quick] [--servers] [--tracing] [--listeners] [--json FILE]

${Object.entries(SUITES)
  .map(([name, { says }]) => `  ${name.padEnd(14)}${says}`)
  .join("\n")}

  --quick       rounds of two seconds
  --servers     facts through Kafka, jobs through RabbitMQ, locks in Redis: real ones, one node each
  --tracing     place-order with every trace, with one in a hundred and with none, in one run
  --listeners   place-order without activity, eventlog and canary, and with them, in one run
  --json FILE   the figures of every round, for programs
`;

interface Arguments {
  suites: string[];
  quick: boolean;
  servers: boolean;
  tracing: boolean;
  listeners: boolean;
  json: string | undefined;
}

export function readArguments(args: string[]): Arguments {
  const read: Arguments = {
    suites: [],
    quick: false,
    servers: false,
    tracing: false,
    listeners: false,
    json: undefined,
  };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--quick") read.quick = true;
    else if (arg === "--servers") read.servers = true;
    else if (arg === "--tracing") read.tracing = true;
    else if (arg === "--listeners") read.listeners = true;
    else if (arg === "--json") {
      read.json = args[++at];
      if (!read.json) throw new Error("--json wants a file name");
    } else if (arg in SUITES) read.suites.push(arg);
    else
      throw new Error(
        `expected a suite (${Object.keys(SUITES).join(", ")}), --quick, --servers, --tracing, --listeners or --json FILE, found ${arg}`,
      );
  }
  return read;
}

async function main(args: string[]): Promise<number> {
  const { suites, quick, servers, tracing, listeners, json } = readArguments(args);
  if (suites.length === 0) {
    console.log(USAGE);
    return 0;
  }
  const commit = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: import.meta.dir })
    .stdout.toString()
    .trim();
  const machine = { commit, bun: Bun.version, cores: cpus().length, processor: cpus()[0]?.model ?? "" };
  console.log(
    `${machine.cores} cores of ${machine.processor}, Bun ${machine.bun}; shared machines drift: read the ratios\n`,
  );
  const reports: Record<string, Report> = {};
  for (const name of suites) {
    const report = await SUITES[name]?.run({ quick, servers, tracing, listeners });
    if (!report) continue;
    reports[name] = report;
    console.log(`${report.text}\n`);
  }
  const figures = Object.fromEntries(Object.entries(reports).map(([name, report]) => [name, report.figures]));
  if (json) await Bun.write(json, `${JSON.stringify({ machine, quick, servers, ...figures }, null, 2)}\n`);
  return Object.values(reports).every(({ passed }) => passed) ? 0 : 1;
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  });
}
