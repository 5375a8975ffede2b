// A collector that stands still while orders are placed: nothing of the shop waits for it, and no more is kept for it than its queue.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Load, startLoad } from "../../bench/load-process.ts";
import { makeCustomers, makeProducts } from "../../bench/people.ts";
import { memoryOf } from "../../bench/processes.ts";
import { type Stack, startStack } from "../../bench/stack.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { down, signal, up } from "../../scripts/observe/life.ts";
import { USUAL } from "../../scripts/observe/programs.ts";
import { type Checks, say, unless } from "./check.ts";

const CLIENTS = 16;
/** Code is compiled and heaps grow to what they need. */
const WARM_UP_MS = 6_000;
/** Longer than one batch is sent for, ten seconds, so that batches are given up too; */
const FROZEN_MS = 15_000;
const STEP_MS = 3_000;
/** and for so many orders, however long a machine takes for them: what is kept of each is what is measured. */
const ORDERS = 10_000;
const MIB = 1024 ** 2;
/** The queues hold 2,048 spans and as many log lines of a few KiB each, and as much is being sent: a heap grows by more from run to run. What is not forgotten would be 400. */
const GROWN_MIB_MAX = 200;
/** A queue that has no end. */
const ENDLESS = { OTEL_BSP_MAX_QUEUE_SIZE: "10000000" };

export async function freezeCollector(checks: Checks): Promise<void> {
  const { check, checkNow, skip, missing } = checks;
  if (missing["collector"]) return skip("a collector that stands still", missing["collector"]);
  const folder = mkdtempSync(join(tmpdir(), "bodega-frozen-"));
  const ports = { ...USUAL, ...(await freePorts(Object.keys(USUAL))) };
  const load = startLoad();
  try {
    await up({ folder, ports, opsPorts: [], smtpPort: "", only: ["collector"] }, say);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.COLLECTOR_HTTP}` };
    await withShop(load, env, async ({ place, grownWhile, told }) => {
      const { grown, placed } = await grownWhile(folder);
      await checkNow("while the collector stands still every order is placed", async () =>
        unless(placed.failed === 0 && placed.acknowledged > 0, () => `${placed.failed} failed: ${placed.failure}`),
      );
      await checkNow("no more is kept for it than its queue", async () =>
        unless(grown < GROWN_MIB_MAX, () => `the process grew by ${grown} MiB`),
      );
      await check("that spans and lines are lost is said once each", async () =>
        unless(told("lost").join() === "logs,traces", () => `it was said of ${told("lost")}`),
      );
      signal(folder, "collector", "SIGCONT");
      await check("and that it takes them again", async () => {
        await place(500);
        const back = [...new Set(told("back"))];
        return unless(back.join() === "logs,traces", () => `it was said of ${back}`);
      });
    });
    await withShop(load, { ...env, ...ENDLESS }, async ({ grownWhile }) => {
      const { grown } = await grownWhile(folder);
      await checkNow("a queue that has no end is noticed", async () =>
        unless(grown >= GROWN_MIB_MAX, () => `the process grew by ${grown} MiB only`),
      );
    });
  } finally {
    load.close();
    await down(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withShop(load: Load, env: Record<string, string>, look: (shop: LoadedShop) => Promise<void>) {
  const stack = await startStack(env);
  try {
    await look(await openLoadedShop(load, stack));
  } finally {
    await stack.close();
  }
}

type LoadedShop = Awaited<ReturnType<typeof openLoadedShop>>;

async function openLoadedShop(load: Load, stack: Stack) {
  const [customers, productIds] = [await makeCustomers(stack, CLIENTS), await makeProducts(stack, CLIENTS)];
  const plan = { kind: "edge" as const, url: stack.edge, customers, productIds };
  const place = (ms: number) => load.run({ plan, clients: CLIENTS, ms, run: crypto.randomUUID() });
  return {
    place,
    /** By how many MiB the process grows while orders are placed and the collector stands still. */
    async grownWhile(folder: string) {
      await place(WARM_UP_MS);
      const before = memoryOf(stack.serverPid);
      signal(folder, "collector", "SIGSTOP");
      const placed = { acknowledged: 0, failed: 0, failure: "" };
      const began = performance.now();
      while (performance.now() - began < FROZEN_MS || placed.acknowledged < ORDERS) {
        const { acknowledged, failed, failure } = await place(STEP_MS);
        placed.acknowledged += acknowledged;
        placed.failed += failed;
        placed.failure ||= failure;
        if (failed > 0) break;
      }
      const grown = Math.round((memoryOf(stack.serverPid) - before) / MIB);
      say(`${placed.acknowledged} orders while the collector stood still, and ${grown} MiB more than before`);
      return { grown, placed };
    },
    /** Of which signals it was said, in the order of their names. */
    told: (event: string) =>
      readFileSync(stack.logFile, "utf8")
        .split("\n")
        .flatMap((line) => (line.includes(`"telemetry.${event}"`) ? String(JSON.parse(line).signal) : []))
        .sort(),
  };
}
