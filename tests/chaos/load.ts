import {
  CancelOrderResponseSchema,
  PlaceOrderResponseSchema,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { StartPaymentResponseSchema } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { AdjustStockResponseSchema } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { type Client, must } from "./client.ts";
import type { Dice } from "./dice.ts";
import type { Customer, Product, Shop } from "./shop.ts";

/** An order that a customer was told of. */
export interface Acknowledgement {
  customerId: string;
  requestId: string;
  orderId: string;
}

export interface Load {
  acknowledged: Acknowledgement[];
  /** Units put on stock besides the first ones, by product. */
  restocked: Map<string, number>;
  /** Begins no new order; resolves when all customers have done what they came for. */
  stop(): Promise<void>;
}

type Plan = "pay" | "decline" | "forget" | "pay and cancel at once" | "pay at the last moment";
/** Each as likely as it is often named. */
const PLANS: Plan[] = ["pay", "pay", "pay", "pay", "decline", "decline", "forget", "forget"];
PLANS.push("pay and cancel at once", "pay at the last moment");

/** The 24 hours of an order in 36 seconds: longer than the lease that a killed effect leaves behind. A hold's thirty seconds do not shrink. */
export const TIME_SCALE = 2_400;
const ORDER_LIFE_MS = 86_400_000 / TIME_SCALE;
const PAUSE_MS_MIN = 40;
const PAUSE_MS_MAX = 160;
const LIVES_AT_ONCE_MAX = 80;
const RESTOCK_EVERY = 25;
const RESTOCK_UNITS = 5;
const NOT_YET_MS = 300;
/** Around the end of an order, where paying and expiring meet. */
const LAST_MOMENT_MS = 400;
const REST = "/v1/orders";
const CONNECT = "/bodega.order.v1.OrderService/PlaceOrder";

/** Customers who order all the time, each order with a key of its own; `name` is of its deliveries. */
export function startLoad(client: Client, shop: Shop, dice: Dice, { slower = 1, name = "restock" } = {}): Load {
  const acknowledged: Acknowledgement[] = [];
  const restocked = new Map<string, number>();
  const lives = new Set<Promise<void>>();
  let stopping = false;
  let failure: unknown;

  function begin(life: Promise<void>) {
    const tracked = life
      .catch((error: unknown) => {
        failure ??= error;
        stopping = true;
      })
      .finally(() => lives.delete(tracked));
    lives.add(tracked);
  }

  async function run() {
    for (let count = 1; !stopping; count++) {
      if (lives.size < LIVES_AT_ONCE_MAX) begin(live(client, draw(shop, dice), acknowledged));
      if (count % RESTOCK_EVERY === 0) begin(restock(client, shop, `${name}-${count}`, restocked));
      await Bun.sleep(slower * dice.between(PAUSE_MS_MIN, PAUSE_MS_MAX));
    }
  }
  const running = run();
  return {
    acknowledged,
    restocked,
    async stop() {
      stopping = true;
      await running;
      while (lives.size > 0) await Promise.all(lives);
      if (failure) throw failure;
    },
  };
}

interface Wish {
  customer: Customer;
  requestId: string;
  lines: { productId: string; quantity: number }[];
  path: string;
  /** Sent twice at the same moment. */
  twins: boolean;
  /** Sent again when all is over, as by a program that has lost the answer. */
  again: boolean;
  plan: Plan;
  lastMomentMs: number;
}

/** All chance of one order is spent here, so that a seed gives the same orders whatever the answers are. */
function draw({ customers, products }: Shop, dice: Dice): Wish {
  const plenty = products.filter((product) => !product.scarce);
  const wanted = new Set([dice.pick(plenty), dice.chance(0.15) ? dice.pick(products) : dice.pick(plenty)]);
  return {
    customer: dice.pick(customers),
    requestId: dice.id(),
    lines: Array.from(wanted, ({ productId }) => ({ productId, quantity: dice.between(1, 3) })),
    path: dice.pick([REST, CONNECT]),
    twins: dice.chance(0.3),
    again: dice.chance(0.2),
    plan: dice.pick(PLANS),
    lastMomentMs: ORDER_LIFE_MS + dice.between(-LAST_MOMENT_MS, LAST_MOMENT_MS),
  };
}

async function live(client: Client, wish: Wish, acknowledged: Acknowledgement[]): Promise<void> {
  const { customer, requestId, twins, again } = wish;
  const tell = (orderId: string) => acknowledged.push({ customerId: customer.userId, requestId, orderId });
  const [orderId = "", twin] = await Promise.all([place(client, wish), ...(twins ? [place(client, wish)] : [])]);
  tell(orderId);
  if (twin !== undefined) tell(twin);
  await carryOut(client, wish, orderId);
  if (again) tell(await place(client, wish));
}

async function carryOut(client: Client, { customer, plan, lastMomentMs }: Wish, orderId: string): Promise<void> {
  if (plan === "forget") return;
  let page = await checkout(client, customer, orderId);
  if (page && plan === "decline") {
    await client.submit(page, { outcome: "declined" });
    page = await checkout(client, customer, orderId);
  }
  if (!page) return;
  if (plan === "pay at the last moment") await Bun.sleep(lastMomentMs);
  await Promise.all([
    client.submit(page, { outcome: "succeeded" }),
    ...(plan === "pay and cancel at once" ? [cancel(client, customer, orderId)] : []),
  ]);
}

async function place(client: Client, { customer, requestId, lines, path }: Wish): Promise<string> {
  const body = { requestId, lines };
  const call = { method: "POST", path, token: customer.token, body } as const;
  const { order } = await must(client.ask(PlaceOrderResponseSchema, call));
  return order?.orderId ?? "";
}

/** Waits for the reservation and opens the pay page; undefined when the order cannot be paid any more. */
export async function checkout(client: Client, { token }: Customer, orderId: string): Promise<string | undefined> {
  for (;;) {
    const call = { method: "POST", path: "/v1/payments", token, body: { orderId } } as const;
    const answer = await client.ask(StartPaymentResponseSchema, call);
    if (answer.ok) return answer.message.payment?.checkoutUrl;
    if (answer.reason === "ORDER_NOT_PAYABLE") return undefined;
    if (answer.reason !== "NOT_RESERVED_YET") throw new Error(`StartPayment was refused: ${answer.detail}`);
    await Bun.sleep(NOT_YET_MS);
  }
}

async function cancel(client: Client, { token }: Customer, orderId: string): Promise<void> {
  const call = { method: "POST", path: `/v1/orders/${orderId}:cancel`, token, body: {} } as const;
  const answer = await client.ask(CancelOrderResponseSchema, call);
  if (!answer.ok && answer.reason !== "ORDER_PAID" && answer.reason !== "ILLEGAL_MOVE")
    throw new Error(`CancelOrder was refused: ${answer.detail}`);
}

async function restock(client: Client, shop: Shop, requestId: string, restocked: Map<string, number>): Promise<void> {
  for (const { productId } of shop.products.filter((product: Product) => product.scarce)) {
    const body = { requestId, productId, delta: RESTOCK_UNITS, reason: "a delivery" };
    const path = `/v1/stocks/${productId}:adjust`;
    await must(client.ask(AdjustStockResponseSchema, { method: "POST", path, token: shop.adminToken, body }));
    restocked.set(productId, (restocked.get(productId) ?? 0) + RESTOCK_UNITS);
  }
}
