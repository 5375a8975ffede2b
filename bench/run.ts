import type { Run } from "./figures.ts";
import type { Plan } from "./load.ts";
import type { Load } from "./load-process.ts";
import { cpuOf, cpuOfFamily } from "./processes.ts";
import { type Stack, settled } from "./stack.ts";

/** What a suite leaves: text for people, figures for programs, and whether its counts agreed and its gate was met. */
export interface Report {
  text: string;
  figures: object;
  passed: boolean;
}

export const SERVICES = ["auth", "product", "stock", "order", "payment", "kitchen", "mail", "points"];

/** A platform under load. */
export interface Bench {
  stack: Stack;
  load: Load;
  acknowledged: number;
  failed: number;
  failure: string;
}

/** A load run, and then the wait until every reaction to it is done: nothing of it may disturb the next. */
export async function oneRun(bench: Bench, plan: Plan, clients: number, ms: number): Promise<Run> {
  const { stack, load } = bench;
  const cpu = () => ({
    server: cpuOf(stack.serverPid),
    postgres: cpuOfFamily(stack.postgresPid),
    load: cpuOf(load.pid),
  });
  const before = cpu();
  const loaded = await load.run({ plan, clients, ms, run: String(performance.now()) });
  const settleSeconds = plan.kind === "edge" ? await settled(stack, SERVICES) : 0;
  const after = cpu();
  if (plan.kind === "edge") bench.acknowledged += loaded.acknowledged;
  bench.failed += loaded.failed;
  bench.failure ||= loaded.failure;
  const each = (name: keyof typeof before) => (after[name] - before[name]) / loaded.acknowledged;
  const { done, seconds, p50Ms, p99Ms } = loaded;
  const cpuMicros = { server: each("server"), postgres: each("postgres"), load: each("load") };
  return { clients, done, seconds, p50Ms, p99Ms, cpuMicros, settleSeconds };
}
