// The whole program is killed again and again while customers pay with points, some of them with money at the same moment, and then
// everything is counted. CHAOS_SEED repeats a run's orders and moments, POINTS_KILLS makes it shorter or longer.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetOrderResponseSchema,
  PayWithPointsResponseSchema,
  PlaceOrderResponseSchema,
  Reservation,
} from "../packages/api/gen/bodega/order/v1/order_pb.ts";
import { StartPaymentResponseSchema } from "../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { GrantPointsResponseSchema } from "../packages/api/gen/bodega/points/v1/points_pb.ts";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { type Client, createClient, must } from "./chaos/client.ts";
import { createDice, type Dice } from "./chaos/dice.ts";
import { killAgainAndAgain, type Place, ready, type Victim } from "./chaos/killing.ts";
import { freePorts, killPostgres, startProgram } from "./chaos/program.ts";
import { ADMIN, type Customer, openShop, type Shop } from "./chaos/shop.ts";
import { halfDoneIn } from "./points.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const KILLS = Number(process.env["POINTS_KILLS"] ?? 6);
/** The 24 hours of an order in 36 seconds. A hold's thirty seconds do not shrink. */
const TIME_SCALE = 2_400;
const CUSTOMERS = 4;
const LIVES_OF_EACH = 5;
const GRANTED = 10n ** 7n;
const SETTLED_MS_MAX = 150_000;
const PAUSE_MS = [20, 150] as const;
const NOT_YET_MS = 100;

type Plan = "points" | "vanish" | "points and money" | "money";
const PLANS: Plan[] = ["points", "points", "vanish", "points and money", "points and money", "money"];

test(`after ${KILLS} kills while points are paid no order is half paid, and every point and cent is accounted for`, async () => {
  process.stderr.write(`points: CHAOS_SEED=${SEED}\n`);
  const place = await newPlace();
  const victim: Victim = { program: startProgram(place.env, place.logFile), outages: [], kills: {} };
  try {
    await victim.program.open();
    await ready(place.base);
    const client = createClient(place.base, createDice(SEED + 1));
    const shop = await openShop(client, `http://127.0.0.1:${place.env["MAIL_PORT"]}`, CUSTOMERS);
    for (const customer of shop.customers) await grant(client, shop, customer);
    const buyers = startBuyers(client, shop, place.base, createDice(SEED + 2));
    await killAgainAndAgain(victim, place, KILLS, createDice(SEED + 3));
    const told = await buyers.stop();
    const databases = {
      order: open(place.dataDir, "order"),
      points: open(place.dataDir, "points"),
      payment: open(place.dataDir, "payment"),
    };
    const { order, points } = databases;
    await settled(databases);
    expect(await halfDoneIn(order.sql, points.sql)).toEqual([]);
    expect(await miscounted(databases, shop, told)).toEqual([]);
    expect(client.unexpected).toEqual([]);
    const decided = await order.sql<{ decision: string; count: number }[]>`
        select decision, count(*)::int as count from decisions group by decision`;
    process.stderr.write(
      `points: ${JSON.stringify(victim.kills)}, ${told.length} told, decided ${JSON.stringify(decided)}\n`,
    );
    expect(told.length).toBeGreaterThan(KILLS * 3);
    await Promise.all(Object.values(databases).map((database) => database.close()));
  } finally {
    victim.program.signal("SIGKILL");
    await victim.program.exited;
    killPostgres(place.dataDir);
    rmSync(join(place.dataDir, ".."), { recursive: true, force: true });
  }
}, 600_000);

async function newPlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-points-"));
  const dataDir = join(folder, "data");
  const ports = await freePorts();
  const env = {
    ...ports,
    DATA_DIR: dataDir,
    TIME_SCALE: String(TIME_SCALE),
    RATE_LIMITS: "off",
    DEMO: "on",
    KITCHEN_STAFF: "on",
  };
  const admin = { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };
  return {
    dataDir,
    logFile: join(folder, "log"),
    env: { ...env, ...admin },
    base: `http://127.0.0.1:${ports["PORT"]}`,
  };
}

async function grant(client: Client, { adminToken: token }: Shop, { userId }: Customer) {
  const body = { requestId: `grant-${userId}`, userId, amount: String(GRANTED), reason: "chaos" };
  await must(client.ask(GrantPointsResponseSchema, { method: "POST", path: "/v1/points:grant", token, body }));
}

/** Customers who buy until they are stopped; gives back the orders of which they were told that points have paid them. */
function startBuyers(client: Client, { customers, products }: Shop, base: string, dice: Dice) {
  const told: string[] = [];
  let stopping = false;
  const goods = products.filter(({ scarce }) => !scarce);
  const lives = customers.flatMap((customer) => Array<Customer>(LIVES_OF_EACH).fill(customer));
  const running = lives.map(async (customer) => {
    while (!stopping) {
      const [plan, requestId, product] = [dice.pick(PLANS), dice.id(), dice.pick(goods)];
      const lines = [{ productId: product.productId, quantity: dice.between(1, 3) }];
      const call = { method: "POST", path: "/v1/orders", token: customer.token, body: { requestId, lines } } as const;
      const orderId = (await must(client.ask(PlaceOrderResponseSchema, call))).order?.orderId ?? "";
      const points = () => payWithPoints(client, customer, orderId, requestId);
      const money = () => payWithMoney(client, customer, orderId);
      if (plan === "vanish")
        await askAndLeave(client, base, { customer, orderId, requestId, afterMs: dice.between(1, 40) });
      else {
        const [paid] = await Promise.all([plan !== "money" && points(), plan !== "points" && money()]);
        if (paid) told.push(orderId);
      }
      await Bun.sleep(dice.between(...PAUSE_MS));
    }
  });
  return {
    async stop() {
      stopping = true;
      await Promise.all(running);
      return told;
    },
  };
}

/** Until it is answered. False when the order cannot be paid any more. */
async function payWithPoints(client: Client, { token }: Customer, orderId: string, requestId: string) {
  const call = { method: "POST", path: `/v1/orders/${orderId}:payWithPoints`, token, body: { requestId } } as const;
  for (;;) {
    const answer = await client.ask(PayWithPointsResponseSchema, call);
    if (answer.ok) return true;
    if (answer.reason === "ORDER_NOT_PAYABLE") return false;
    if (answer.reason !== "NOT_RESERVED_YET") throw new Error(`PayWithPoints was refused: ${answer.detail}`);
    await Bun.sleep(NOT_YET_MS);
  }
}

async function payWithMoney(client: Client, { token }: Customer, orderId: string) {
  for (;;) {
    const call = { method: "POST", path: "/v1/payments", token, body: { orderId } } as const;
    const answer = await client.ask(StartPaymentResponseSchema, call);
    if (answer.ok) return client.submit(answer.message.payment?.checkoutUrl ?? "", { outcome: "succeeded" });
    if (answer.reason === "ORDER_NOT_PAYABLE") return;
    if (answer.reason !== "NOT_RESERVED_YET") throw new Error(`StartPayment was refused: ${answer.detail}`);
    await Bun.sleep(NOT_YET_MS);
  }
}

interface Leaving {
  customer: Customer;
  orderId: string;
  requestId: string;
  afterMs: number;
}

/** Asks once, when the order is reserved, hangs up after a moment and never comes back for the answer. */
async function askAndLeave(client: Client, base: string, { customer, orderId, requestId, afterMs }: Leaving) {
  const call = { method: "GET", path: `/v1/orders/${orderId}`, token: customer.token } as const;
  while ((await must(client.ask(GetOrderResponseSchema, call))).order?.reservation === Reservation.AWAITING)
    await Bun.sleep(NOT_YET_MS);
  const headers = { "content-type": "application/json", authorization: `Bearer ${customer.token}` };
  const init = { method: "POST", headers, body: JSON.stringify({ requestId }), signal: AbortSignal.timeout(afterMs) };
  await fetch(`${base}/v1/orders/${orderId}:payWithPoints`, init).catch((error: unknown) => error);
}

function open(dataDir: string, service: string): Database {
  const password = readFileSync(join(dataDir, "postgres/superuser-password"), "utf8").trim();
  const port = readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n")[3];
  return openDatabase(`postgres://postgres:${password}@127.0.0.1:${port}/bodega_${service}`, "test-points");
}

type Databases = Record<"order" | "points" | "payment", Database>;

/** Nothing is held, nothing is to be told or done, and every order has come to its end. */
async function settled(databases: Databases) {
  const { order, points } = databases;
  for (const patience = AbortSignal.timeout(SETTLED_MS_MAX); ; await Bun.sleep(NOT_YET_MS)) {
    const held = await points.sql`select 1 from holds where status = 'HELD'`;
    const open = await order.sql`select 1 from orders where status in ('PENDING', 'PAID')`;
    const rows = await Promise.all(
      Object.values(databases).map(({ sql }) => sql`select type from outbox union all select type from jobs`),
    );
    const found = `${held.length} held, ${open.length} orders open, ${rows.flat().length} rows waiting`;
    if (found === "0 held, 0 orders open, 0 rows waiting") return;
    if (patience.aborted) throw new Error(`still ${found}`);
  }
}

/** What does not add up, in sentences. */
async function miscounted({ order, points, payment }: Databases, shop: Shop, told: string[]) {
  const orders = await order.sql<
    { order_id: string; customer_id: string; status: string; total: bigint; payment_id: string; points: bigint }[]
  >`select order_id, customer_id, status, total_minor_units as total, payment_id, points from orders`;
  const accounts = await points.sql<{ user_id: string; balance: bigint; held: bigint }[]>`select * from accounts`;
  const kept = await payment.sql<{ order_id: string }[]>`select order_id from payments where status = 'CAPTURED'`;
  const parked = await Promise.all([order, points, payment].map(({ sql }) => sql`select type, error from parked`));
  const done = orders.filter(({ status }) => status === "COMPLETED");
  const inPoints = new Set(done.filter((each) => each.points !== null).map(({ order_id }) => order_id));
  const inMoney = done.filter((each) => each.payment_id !== null);
  const wanted = ({ userId }: Customer) =>
    done
      .filter(({ customer_id }) => customer_id === userId)
      .reduce((sum, each) => sum - (each.points ?? 0n) + (each.payment_id ? each.total / 100n : 0n), GRANTED);
  return [
    ...shop.customers.flatMap((customer) => {
      const { balance, held } = accounts.find(({ user_id }) => user_id === customer.userId) ?? {
        balance: -1n,
        held: -1n,
      };
      if (balance === wanted(customer) && held === 0n) return [];
      return [`${customer.email} has ${balance}, ${held} held: expected ${wanted(customer)}`];
    }),
    ...told.filter((orderId) => !inPoints.has(orderId)).map((orderId) => `${orderId} was told to be paid, and is not`),
    ...(Bun.deepEquals(kept.map(({ order_id }) => order_id).sort(), inMoney.map(({ order_id }) => order_id).sort())
      ? []
      : [`the provider keeps money for ${kept.length} orders, ${inMoney.length} are paid with money`]),
    ...parked.flat().map(({ type, error }) => `${type} is parked: ${error}`),
  ];
}
