// Stripe goes wrong in every way it may, and so do its customers, its people and its webhooks: at the end its ledger and our books agree to the cent.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, Problem } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { paymentRoutes } from "../../services/payment/routes.ts";
import { addCustomer, addProduct, orderNow, reserved } from "../kit/customers.ts";
import { type FakeStripe, type Fault, startFakeStripe, webhookOf } from "../kit/fake-stripe/fake-stripe.ts";
import type { StripeEvent } from "../kit/fake-stripe/objects.ts";
import { SEED } from "../kit/seed.ts";
import { stripeVariables } from "../kit/services/stripe.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(240_000);
const ORDERS = 24;
const PRICE = 1_000n;

let system: System;
let fake: FakeStripe;
let ann: User;
let burger: string;
beforeAll(async () => {
  fake = await startFakeStripe();
  system = await startSystem({ env: stripeVariables(fake) });
  ann = await addCustomer(system);
  burger = await addProduct(system, { stock: 1_000, price: PRICE, prepared: false });
});
afterAll(async () => {
  await system.close();
  await fake.close();
});

/** Mulberry32, as the chaos tests have it. */
function createDice(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    chance: (probability: number) => next() < probability,
    below: (limit: number) => Math.floor(next() * limit),
  };
}

const dice = createDice(SEED);
const FAULTS: Fault[] = ["fault-before", "fault-after", "cut-after", "busy"];

/** Some are lost for good, some come twice or thrice, and none in its order. */
async function hear(lost: number): Promise<void> {
  const events = fake.events.splice(0).filter(() => !dice.chance(lost));
  const copies = events.flatMap((event) => Array.from({ length: 1 + dice.below(3) }, () => event));
  const shuffled = copies.map((event) => ({ event, at: dice.below(1_000_000) })).toSorted((a, b) => a.at - b.at);
  await Promise.all(shuffled.map(({ event }) => post(event)));
}

async function post(event: StripeEvent): Promise<void> {
  const { body, headers } = webhookOf(event, new Date());
  // App is generic in its configuration; this one is payment's.
  const routes = paymentRoutes(system.app("payment") as App<never>);
  const { status } = await routes.request("/webhooks/stripe", { method: "POST", body, headers });
  expect(status).toBe(200);
}

/** As a client does that is told to come back. */
async function start(orderId: string): Promise<string> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      return (await system.as(ann, PaymentService).startPayment({ orderId })).payment?.paymentId ?? "";
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
    }
  }
  throw new Error(`no checkout of order ${orderId} could be opened`);
}

/** What customers, admins, banks and Stripe's people do, where it can be done at that moment. */
const ACTS: ((orderId: string, paymentId: string) => unknown)[] = [
  (_, paymentId) => fake.pay(paymentId),
  (_, paymentId) => fake.pay(paymentId),
  (_, paymentId) => fake.pay(paymentId, "bank"),
  (_, paymentId) => fake.bankPays(paymentId),
  (_, paymentId) => fake.expire(paymentId),
  (_, paymentId) => fake.refund(paymentId, 100),
  (_, paymentId) => fake.refund(paymentId),
  (_, paymentId) => fake.dispute(paymentId, 300),
  (orderId) => system.as("admin", OrderService).cancelOrder({ orderId }),
  (_, paymentId) =>
    system.as("admin", PaymentService).refundPayment({
      requestId: system.random.id(),
      paymentId,
      amount: { currencyCode: "EUR", minorUnits: 150n },
      reason: "cold",
    }),
];

/** Whether it could be done; a refusal is an answer, and so is a page that is gone. */
async function attempt(act: () => unknown): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    const refused = error instanceof ConnectError && error.code === Code.FailedPrecondition;
    const impossible = error instanceof Error && /fake Stripe|takes no money|has \d+ left/.test(error.message);
    if (refused || impossible) return false;
    throw error;
  }
}

test(`CHAOS_SEED=${SEED}: lost answers, lost webhooks, and everybody at once`, async () => {
  const orders: { orderId: string; paymentId: string }[] = [];
  fake.disturb((method) => (method === "POST" && dice.chance(0.2) ? FAULTS[dice.below(FAULTS.length)] : undefined));
  for (let n = 0; n < ORDERS; n++) {
    const orderId = await reserved(system, ann, burger);
    orders.push({ orderId, paymentId: await start(orderId) });
  }
  const done = new Map<number, number>();
  for (let round = 0; round < 6; round++) {
    await Promise.all(
      orders.map(async ({ orderId, paymentId }) => {
        const index = dice.below(ACTS.length);
        if (await attempt(() => ACTS[index]?.(orderId, paymentId))) done.set(index, (done.get(index) ?? 0) + 1);
      }),
    );
    await hear(0.2);
    if (round % 2 === 1) await system.settle();
  }
  fake.disturb(() => undefined);
  await hear(0);
  await system.settle();
  // The first comparison mends what was lost; what follows of that, such as money that goes back, is told once more.
  const reconcile = () => system.as("admin", PaymentService).reconcile({});
  const before = await reconcile();
  await system.settle();
  await hear(0);
  await system.settle();
  await system.advance(15 * 60_000);
  // What waited for a capture that was lost is told too, and comes right with it.
  const PASSING: Problem[] = [Problem.MISSED, Problem.NOT_APPLIED];
  expect(before.differences.filter(({ problem }) => !PASSING.includes(problem))).toEqual([]);
  expect((await reconcile()).differences).toEqual([]);
  expect(await system.app("payment").sql`select type, error from parked`).toEqual([] as never);

  expect(await ourBalances()).toEqual(theirBalances());
  for (const { orderId, paymentId } of orders) {
    const { status } = await orderNow(system, orderId);
    const { captured = 0, refunded = 0, disputed = 0 } = fake.balances().get(paymentId) ?? {};
    const kept = captured - refunded - disputed;
    // Less than nothing where a bank took what had been given back already.
    if (status === OrderStatus.CANCELLED) expect(kept).toBeLessThanOrEqual(0);
    if (status === OrderStatus.PAID) expect(kept).toBeGreaterThan(0);
    if (status !== OrderStatus.PENDING) expect([orderId, fake.sessionOf(paymentId).status]).not.toContain("open");
  }
  // A run in which nothing happened would prove nothing.
  expect(done.size).toBeGreaterThan(5);
});

async function ourBalances() {
  const rows = await system.app("payment").sql<
    { payment_id: string; captured: bigint; refunded: bigint; disputed: bigint }[]
  >`
    select payment_id, amount_minor_units as captured, refunded_minor_units as refunded, disputed_minor_units as disputed
    from payments where captured_at is not null order by payment_id`;
  return rows.map(({ payment_id, captured, refunded, disputed }) => [
    payment_id,
    Number(captured),
    Number(refunded),
    Number(disputed),
  ]);
}

function theirBalances() {
  return [...fake.balances()]
    .map(([paymentId, { captured, refunded, disputed }]) => [paymentId, captured, refunded, disputed])
    .toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}
