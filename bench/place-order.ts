import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { OrderService, PlaceOrderResponseSchema } from "../packages/api/gen/bodega/order/v1/order_pb.ts";
import { disagreement, medianRun, type Run, rateOf, settledRateOf, table, verdictOf } from "./figures.ts";
import { makeFloor } from "./floor.ts";
import { placeOrderListened } from "./listeners.ts";
import type { EdgePlan, Plan } from "./load.ts";
import { startLoad } from "./load-process.ts";
import { makeCustomers, makeProducts, transport } from "./people.ts";
import { type Bench, oneRun, type Report, SERVICES } from "./run.ts";
import { startBenchServers } from "./servers.ts";
import { type Stack, settled, startStack } from "./stack.ts";
import { placeOrderTraced } from "./tracing.ts";

export interface Options {
  quick: boolean;
  /** Facts, jobs and locks on real servers. */
  servers: boolean;
  /** Of what tracing costs, instead. */
  tracing?: boolean;
  /** Of what activity, eventlog and canary cost, instead. */
  listeners?: boolean;
}

const CLIENTS = [1, 16, 64];
const FLOOR_CLIENTS = 16;
const GATE_CLIENTS = 64;
/** Of the floor: what the first release must reach with everything on. */
const GATE = 0.5;
const ROUNDS = 3;
const ROUND_MS = { quick: 2_000, full: 5_000 };
const WARM_UP_MS = { quick: 2_000, full: 3_000 };
const CUSTOMERS = 16;
const PRODUCTS = 100;

/**
 * Placing orders through the edge, against the same rows written by one statement an order on the same server. Everything is on: fsync, log, metrics
 * and all services, which react to each order while more are placed.
 */
export async function placeOrder({ quick, servers, tracing, listeners }: Options): Promise<Report> {
  if (tracing) return placeOrderTraced(quick);
  if (listeners) return placeOrderListened(quick);
  const real = servers ? await startBenchServers(["kafka", "rabbitmq", "redis"]) : undefined;
  const stack = await startStack(real?.env);
  const load = startLoad();
  try {
    await refuseUnsafe(stack);
    const customers = await makeCustomers(stack, CUSTOMERS);
    const productIds = await makeProducts(stack, PRODUCTS);
    await settled(stack, SERVICES);
    const edge: EdgePlan = { kind: "edge", url: stack.edge, customers, productIds };
    const floor: Plan = { kind: "floor", databaseUrl: await makeFloor(stack), ...(await sample(stack, edge)) };
    const bench = { stack, load, acknowledged: CUSTOMERS, failed: 0, failure: "" };
    const ms = quick ? ROUND_MS.quick : ROUND_MS.full;
    for (const plan of [floor, edge])
      await oneRun(bench, plan, GATE_CLIENTS, quick ? WARM_UP_MS.quick : WARM_UP_MS.full);
    const runs = { floor: [] as Run[], edge: [] as Run[] };
    for (let round = 0; round < ROUNDS; round++)
      for (const clients of CLIENTS)
        for (const plan of [floor, edge]) runs[plan.kind].push(await oneRun(bench, plan, clients, ms));
    return await report(bench, runs);
  } finally {
    load.close();
    await stack.close();
    await real?.close();
  }
}

async function report(bench: Bench, runs: { floor: Run[]; edge: Run[] }): Promise<Report> {
  const of = (kind: "floor" | "edge", clients: number) =>
    medianRun(runs[kind].filter((run) => run.clients === clients));
  const floorRate = rateOf(of("floor", FLOOR_CLIENTS));
  const verdict = verdictOf(rateOf(of("edge", GATE_CLIENTS)), floorRate, GATE);
  const counts = await countAll(bench);
  const void_ =
    disagreement(counts) ?? (bench.failed > 0 ? `${bench.failed} requests failed: ${bench.failure}` : undefined);
  const rows = CLIENTS.flatMap((clients) =>
    (["edge", "floor"] as const).map((kind) => rowOf(kind, of(kind, clients), floorRate)),
  );
  const said = void_
    ? `VOID: ${void_}`
    : `${verdict.met ? "met" : "MISSED"}: ${verdict.ratio.toFixed(2)} of the floor at ${GATE_CLIENTS} clients, the gate is ${GATE}. Proved: ${counts.acknowledged} orders acknowledged, stored, told and reserved.`;
  return {
    text: `${table(HEAD, rows)}\n\n${said}`,
    figures: { runs, floorRate, verdict, counts, void: void_ ?? null },
    passed: !void_ && verdict.met,
  };
}

const HEAD = [
  "place-order",
  "clients",
  "orders/s",
  "of floor",
  "p50 ms",
  "p99 ms",
  "settled/s",
  "CPU us: server",
  "postgres",
  "load",
];

function rowOf(kind: "edge" | "floor", run: Run, floorRate: number): string[] {
  const { cpuMicros: cpu } = run;
  const figures = [
    rateOf(run).toFixed(0),
    (rateOf(run) / floorRate).toFixed(2),
    run.p50Ms.toFixed(2),
    run.p99Ms.toFixed(2),
  ];
  const settledRate = kind === "edge" ? settledRateOf(run).toFixed(0) : "";
  const server = kind === "edge" ? cpu.server.toFixed(0) : "";
  return [kind, String(run.clients), ...figures, settledRate, server, cpu.postgres.toFixed(0), cpu.load.toFixed(0)];
}

/** What the load was promised, and what four services made of it: one number, or the figures are worth nothing. */
async function countAll({ stack, acknowledged }: Bench) {
  await settled(stack, SERVICES);
  const count = async (service: string, what: string) => {
    const [row] = await stack
      .database(service)
      .sql.unsafe<{ count: bigint }[]>(`select count(*) as count from ${what}`);
    return Number(row?.count ?? -1);
  };
  return {
    acknowledged,
    orders: await count("order", "orders"),
    ...(!stack.brokers && { "order.created facts": await count("broker", "facts where type = 'order.created'") }),
    reservations: await count("stock", "reservations where status = 'RESERVED'"),
    "orders that know it": await count("order", "orders where reservation = 'RESERVED'"),
    "mails sent": await count("mail", "mails where template = 'order_received' and status = 'SENT'"),
  };
}

/** A rate without durability is another product's. */
async function refuseUnsafe(stack: Stack): Promise<void> {
  const { sql } = stack.database("order");
  for (const name of ["fsync", "synchronous_commit", "full_page_writes"]) {
    const [row] = await sql<{ value: string }[]>`select current_setting(${name}) as value`;
    if (row?.value !== "on")
      throw new Error(`expected ${name} = on, found ${row?.value}: no figures without durability`);
  }
}

/** An order of each customer: their buckets and the bytes of a real reply are what the floor writes. */
async function sample(stack: Stack, { customers, productIds }: EdgePlan) {
  const answers = await Promise.all(
    customers.map(({ token }) =>
      createClient(OrderService, transport(stack, token)).placeOrder({
        requestId: "sample",
        lines: productIds.slice(0, 3).map((productId) => ({ productId, quantity: 1 })),
      }),
    ),
  );
  const [first] = answers;
  if (!first) throw new Error("expected a customer, found none");
  const reply = Buffer.from(toBinary(PlaceOrderResponseSchema, first)).toString("base64");
  return { orderIds: answers.map(({ order }) => order?.orderId ?? ""), productIds, reply };
}
