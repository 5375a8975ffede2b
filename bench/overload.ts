import { median, table } from "./figures.ts";
import type { EdgePlan, Loaded } from "./load.ts";
import { startLoad } from "./load-process.ts";
import { makeCustomers, makeProducts } from "./people.ts";
import type { Options } from "./place-order.ts";
import type { Report } from "./run.ts";
import { startBenchServers } from "./servers.ts";
import { settled, startStack } from "./stack.ts";

const PEAK_CLIENTS = 64;
const TIMES = [1, 2, 3];
/** Of the peak: what still comes through when three times as much is asked. */
const GATE = 0.8;
const ROUNDS = 3;
const ROUND_MS = { quick: 2_000, full: 5_000 };
const CUSTOMERS = 16;
const PRODUCTS = 100;
const SERVICES = ["auth", "product", "stock", "order", "payment", "kitchen", "mail", "points"];

/**
 * What comes through when more is asked than can be done. The peak is what 64 clients get who wait for their answers; then once, twice and three times as much
 * is asked by people who wait for nobody. The load is made on the same machine and takes its share of it.
 */
export async function overload({ quick, servers }: Options): Promise<Report> {
  const real = servers ? await startBenchServers(["kafka", "rabbitmq", "redis"]) : undefined;
  const stack = await startStack(real?.env);
  const load = startLoad();
  try {
    const customers = await makeCustomers(stack, CUSTOMERS);
    const productIds = await makeProducts(stack, PRODUCTS);
    await settled(stack, SERVICES);
    const plan: EdgePlan = { kind: "edge", url: stack.edge, customers, productIds };
    const ms = quick ? ROUND_MS.quick : ROUND_MS.full;
    const run = async (rate?: number) => {
      const loaded = await load.run({
        ...{ plan, clients: PEAK_CLIENTS, ms, run: String(performance.now()) },
        ...(rate !== undefined && { rate }),
      });
      await settled(stack, SERVICES);
      return loaded;
    };
    await run();
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) {
      const peak = await run();
      const asked = [];
      for (const times of TIMES) asked.push(await run((times * peak.done) / peak.seconds));
      rounds.push({ peak, asked });
    }
    return report(rounds);
  } finally {
    load.close();
    await stack.close();
    await real?.close();
  }
}

interface Round {
  peak: Loaded;
  asked: Loaded[];
}

const HEAD = ["overload", "done/s", "of peak", "p50 ms", "p99 ms", "refused/s", "refused p99 ms", "unsent", "failed"];

function report(rounds: Round[]): Report {
  const medianOf = (figure: (round: Round) => number) => median(rounds.map(figure));
  const ratio = (index: number) => medianOf(({ peak, asked }) => (asked[index]?.done ?? 0) / peak.done);
  const row = (name: string, of: (round: Round) => Loaded | undefined, share: number) => {
    const figure = (read: (loaded: Loaded) => number) => medianOf((round) => read(of(round) ?? round.peak));
    return [
      name,
      figure((each) => each.done / each.seconds).toFixed(0),
      share.toFixed(2),
      figure((each) => each.p50Ms).toFixed(0),
      figure((each) => each.p99Ms).toFixed(0),
      figure((each) => each.refused / each.seconds).toFixed(0),
      figure((each) => each.refusedP99Ms).toFixed(0),
      figure((each) => each.unsent).toFixed(0),
      figure((each) => each.failed).toFixed(0),
    ];
  };
  const rows = [
    row("peak", ({ peak }) => peak, 1),
    ...TIMES.map((times, index) => row(`${times} x peak`, ({ asked }) => asked[index], ratio(index))),
  ];
  const worst = ratio(TIMES.length - 1);
  const failures = rounds.flatMap(({ asked }) => asked.map(({ failure }) => failure)).filter(Boolean);
  const met = worst >= GATE && failures.length === 0;
  const said = `${met ? "met" : "MISSED"}: ${worst.toFixed(2)} of the peak at ${TIMES.at(-1)} times as much, the gate is ${GATE}`;
  return {
    text: `${table(HEAD, rows)}\n\n${said}${failures[0] ? `; failed: ${failures[0]}` : ""}`,
    figures: { rounds, ratio: worst, gate: GATE },
    passed: met,
  };
}
