import type { Run } from "./figures.ts";
import type { EdgePlan } from "./load.ts";
import { type Load, startLoad } from "./load-process.ts";
import { makeCustomers, makeProducts } from "./people.ts";
import { type Bench, oneRun, SERVICES } from "./run.ts";
import { type Stack, settled } from "./stack.ts";

const CLIENTS = 64;
/** In 24 each of two, three or four platforms is first, and last, as often as any other. Many short ones: what disturbs a machine for seconds hits few of them. */
const ROUNDS = { quick: 6, full: 24 };
const ROUND_MS = 2_000;
const WARM_UP_MS = 2_000;
const CUSTOMERS = 16;
const PRODUCTS = 100;

/** One of the platforms that are compared. */
export interface Side {
  bench: Bench;
  plan: EdgePlan;
  runs: Run[];
}

/**
 * Placing orders on several platforms that differ in one thing, by turns, so that a machine that drifts hits all alike. Gives back what `tell` makes of them while
 * they are still open.
 */
export async function sideBySide<T>(
  stacks: Record<string, () => Promise<Stack>>,
  quick: boolean,
  tell: (sides: Map<string, Side>) => Promise<T> | T,
): Promise<T> {
  const load = startLoad();
  const opened: Stack[] = [];
  const sides = new Map<string, Side>();
  try {
    for (const [name, start] of Object.entries(stacks)) {
      const stack = await start();
      opened.push(stack);
      sides.set(name, await makeSide(load, stack));
    }
    for (const { bench, plan } of sides.values()) await oneRun(bench, plan, CLIENTS, WARM_UP_MS);
    const turns = [...sides.values()];
    for (let round = 0; round < (quick ? ROUNDS.quick : ROUNDS.full); round++) {
      for (const { bench, plan, runs } of turns) runs.push(await oneRun(bench, plan, CLIENTS, ROUND_MS));
      turns.push(...turns.splice(0, 1));
    }
    return await tell(sides);
  } finally {
    load.close();
    for (const stack of opened) await stack.close();
  }
}

async function makeSide(load: Load, stack: Stack): Promise<Side> {
  const customers = await makeCustomers(stack, CUSTOMERS);
  const productIds = await makeProducts(stack, PRODUCTS);
  await settled(stack, SERVICES);
  const bench = { stack, load, acknowledged: 0, failed: 0, failure: "" };
  return { bench, plan: { kind: "edge", url: stack.edge, customers, productIds }, runs: [] };
}
