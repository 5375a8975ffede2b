// Customers who pay with points, with money, with both at the same moment, or hang up; and the count of what became of it.
import {
  GetOrderResponseSchema,
  PayWithPointsResponseSchema,
  PlaceOrderResponseSchema,
  Reservation,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { StartPaymentResponseSchema } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { GrantPointsResponseSchema } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { type Database, openDatabase } from "../../packages/database/database.ts";
import { carriedBy } from "../../scripts/copy/carried.ts";
import { halfDoneIn } from "../kit/services/points.ts";
import { type Client, must } from "./client.ts";
import type { Dice } from "./dice.ts";
import type { Customer, Shop } from "./shop.ts";

const LIVES_OF_EACH = 5;
const GRANTED = 10n ** 7n;
const SETTLED_MS_MAX = 150_000;
const PAUSE_MS = [20, 150] as const;
const NOT_YET_MS = 100;

type Plan = "points" | "vanish" | "points and money" | "money";
const PLANS: Plan[] = ["points", "points", "vanish", "points and money", "points and money", "money"];

export interface Buyers {
  /** Resolves when all have done what they came for; with the orders of which they were told that points have paid them. */
  stop(): Promise<string[]>;
}

/** Rich customers, who buy until they are stopped. */
export async function startBuyers(client: Client, shop: Shop, base: string, dice: Dice): Promise<Buyers> {
  const { customers, products } = shop;
  for (const customer of customers) await grant(client, shop, customer);
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

async function grant(client: Client, { adminToken: token }: Shop, { userId }: Customer) {
  const body = { requestId: `grant-${userId}`, userId, amount: String(GRANTED), reason: "chaos" };
  await must(client.ask(GrantPointsResponseSchema, { method: "POST", path: "/v1/points:grant", token, body }));
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

type Databases = Record<"order" | "points" | "payment" | "broker", Database>;

/** Waits for quiet and counts; `urlOf` tells where each database is. What does not add up comes out in sentences. */
export async function countPoints(urlOf: (service: string) => string, shop: Shop, told: string[]): Promise<string[]> {
  const open = (service: string) => openDatabase(urlOf(service), "test-points");
  const databases = { order: open("order"), points: open("points"), payment: open("payment"), broker: open("broker") };
  const { order, points } = databases;
  try {
    await settled(databases);
    const wrong = [...(await halfDoneIn(order.sql, points.sql)), ...(await miscounted(databases, shop, told))];
    const decided = await order.sql`select decision, count(*)::int as count from decisions group by decision`;
    process.stderr.write(`points: ${told.length} told, decided ${JSON.stringify(decided)}\n`);
    return [...wrong, ...(wrong.length > 0 ? [] : await undetected(databases, shop, told))];
  } finally {
    await Promise.all(Object.values(databases).map((database) => database.close()));
  }
}

/** The planted bugs: a payment that was told and never was, and points out of nowhere. */
async function undetected(databases: Databases, shop: Shop, told: string[]): Promise<string[]> {
  const invented = await miscounted(databases, shop, [...told, "no order"]);
  await databases.points.sql`update accounts set balance = balance + 1`;
  const richer = await miscounted(databases, shop, told);
  await databases.points.sql`update accounts set balance = balance - 1`;
  return [
    ...(invented.length === 1 ? [] : ["an order that never was counts as paid"]),
    ...(richer.length === shop.customers.length ? [] : ["points out of nowhere are not noticed"]),
  ];
}

/** Nothing is held, nothing is to be told, heard or done, and every order has come to its end. What goes from one place to the next is seen by a second look. */
async function settled({ broker, ...databases }: Databases) {
  const { order, points } = databases;
  let calm = 0;
  for (const patience = AbortSignal.timeout(SETTLED_MS_MAX); ; await Bun.sleep(NOT_YET_MS)) {
    const held = await points.sql`select 1 from holds where status = 'HELD'`;
    const open = await order.sql`select 1 from orders where status in ('PENDING', 'PAID')`;
    const rows = await Promise.all(
      Object.values(databases).map(({ sql }) => sql`select type from outbox union all select type from jobs`),
    );
    const waiting = rows.flat().length + (await carriedBy(broker.sql));
    const found = `${held.length} held, ${open.length} orders open, ${waiting} messages on their way`;
    calm = held.length + open.length + waiting === 0 ? calm + 1 : 0;
    if (calm === 2) return;
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
