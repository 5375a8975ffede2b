import { disagreement, medianRun, type Run, rateOf, table } from "./figures.ts";
import type { Report } from "./run.ts";
import { type Side, sideBySide } from "./side-by-side.ts";
import { startStack } from "./stack.ts";

/** They are for who runs the shop: no order needs them. */
const LISTENERS = ["activity", "eventlog", "canary"];

/** Placing orders without activity, eventlog and canary, and with them: what counting, journalling and probing cost an order. */
export function placeOrderListened(quick: boolean): Promise<Report> {
  const stacks = {
    without: () => startStack({}, [], LISTENERS),
    with: () => startStack({ CANARY_EVERY: "5s" }),
  };
  return sideBySide(stacks, quick, report);
}

async function report(sides: Map<string, Side>): Promise<Report> {
  const of = (name: string) => medianRun(sides.get(name)?.runs ?? []);
  const cost = costOf(of("without"), of("with"));
  const void_ = await wrong(sides);
  const rows = Array.from(sides.keys(), (name) => {
    const run = of(name);
    const ratio = (rateOf(run) / rateOf(of("without"))).toFixed(2);
    const { server, postgres } = run.cpuMicros;
    const figures = [run.p50Ms.toFixed(2), run.p99Ms.toFixed(2), server.toFixed(0), postgres.toFixed(0)];
    return [name, rateOf(run).toFixed(0), ratio, ...figures];
  });
  const head = [
    "activity, eventlog, canary",
    "orders/s",
    "of without",
    "p50 ms",
    "p99 ms",
    "CPU us: server",
    "postgres",
  ];
  const said = `They cost ${cost.server.toFixed(0)} us of the process's CPU an order and ${cost.postgres.toFixed(0)} us of PostgreSQL's, ${(100 * cost.share).toFixed(0)} % of both.`;
  const runs = Object.fromEntries(Array.from(sides, ([name, side]) => [name, side.runs]));
  return {
    text: `${table(head, rows)}\n\n${void_ ? `VOID: ${void_}` : said}`,
    figures: { runs, cost, void: void_ ?? null },
    passed: !void_,
  };
}

/** Microseconds of CPU an order, and their share of what it costs without. */
export function costOf(without: Run, with_: Run) {
  const [before, after] = [without.cpuMicros, with_.cpuMicros];
  const [server, postgres] = [after.server - before.server, after.postgres - before.postgres];
  return { server, postgres, share: (server + postgres) / (before.server + before.postgres) };
}

/** Where they are on, each order is in the journal and in the statistics; where they are off, nothing of them is there. */
async function wrong(sides: Map<string, Side>): Promise<string | undefined> {
  for (const [name, { bench }] of sides)
    if (bench.failed > 0) return `${name}: ${bench.failed} requests failed: ${bench.failure}`;
  const { bench } = sides.get("with") ?? {};
  if (!bench) throw new Error("expected a side with all services, found none");
  const numberIn = async (service: string, query: string) => {
    const [row] = await bench.stack.database(service).sql.unsafe<{ number: bigint }[]>(query);
    return Number(row?.number ?? -1);
  };
  const placed = "where type = 'order.created'";
  return disagreement({
    acknowledged: bench.acknowledged,
    journalled: await numberIn("eventlog", `select count(*) as number from events ${placed}`),
    "counted by activity": await numberIn("activity", `select sum(quantity)::int8 as number from counts ${placed}`),
  });
}
