// Money that moves again after it came, told by Stripe in whatever order.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ApplyProviderEvent, RefundRemainder } from "../../packages/api/jobs.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { ask } from "../../tests/kit/messages.ts";
import { type StripeSystem, startStripeSystem } from "../../tests/kit/services/stripe.ts";

let system: StripeSystem;
beforeAll(async () => {
  system = await startStripeSystem();
});
afterAll(() => system.close());

const eur = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });
const admin = () => system.as("admin", PaymentService);
const toldOf = (paymentId: string) => system.told.filter(({ key }) => key === paymentId);
const typesOf = (paymentId: string) => toldOf(paymentId).map(({ type }) => type);
const parkedOf = (paymentId: string) => system.payment.sql`select error from parked where key = ${paymentId}`;

/** Both books, and what the payment is. */
async function expectBooks(paymentId: string, status: string, balance: { refunded?: number; disputed?: number }) {
  const expected = { captured: 1_999, refunded: 0, disputed: 0, ...balance };
  expect(system.fake.balances().get(paymentId)).toEqual(expected);
  expect(await system.balanceOf(paymentId)).toEqual(expected);
  expect((await system.rowOf(paymentId)).status).toBe(status);
}

/** So much went back at Stripe, which has refused to give back more; here nothing has been heard of it. */
async function expectUnheard(paymentId: string, refunded: number) {
  expect(system.fake.balances().get(paymentId)).toEqual({ captured: 1_999, refunded, disputed: 0 });
  expect(await system.balanceOf(paymentId)).toEqual({ captured: 1_999, refunded: 0, disputed: 0 });
  const refunds = await system.payment.sql`select status from refunds where payment_id = ${paymentId}`;
  expect(refunds).toMatchObject([{ status: "REFUSED" }]);
}

describe("a refund made at the provider", () => {
  test("in parts: each is told with what is kept, and the last one makes the payment REFUNDED", async () => {
    const { paymentId } = await system.paid();
    system.fake.refund(paymentId, 500);
    await system.hear();
    await expectBooks(paymentId, "CAPTURED", { refunded: 500 });
    system.fake.refund(paymentId);
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 1_999 });
    expect(
      toldOf(paymentId)
        .slice(1)
        .map(({ body }) => body),
    ).toMatchObject([
      { amount: eur(500n), kept: eur(1_499n), reason: "given back by the shop: requested by customer" },
      { amount: eur(1_499n), kept: eur(0n) },
    ]);
  });

  test("told before the capture waits for it", async () => {
    const { paymentId } = await system.started();
    system.fake.pay(paymentId);
    system.fake.refund(paymentId, 700);
    const [capture, ...refund] = system.fake.events.splice(0);
    await system.hear(refund);
    expect(await system.balanceOf(paymentId)).toEqual({ captured: 0, refunded: 0, disputed: 0 });
    expect(await parkedOf(paymentId)).toHaveLength(0);
    await system.hear(capture ? [capture] : []);
    await expectBooks(paymentId, "CAPTURED", { refunded: 700 });
    expect(typesOf(paymentId)).toEqual(["payment.captured", "payment.refunded"]);
  });

  test("while ours is under way: Stripe has nothing left for ours, which is refused, not parked, and no money is promised twice", async () => {
    const { paymentId } = await system.paid();
    system.fake.refund(paymentId, 1_500);
    await admin().refundPayment({ requestId: paymentId, paymentId, reason: "all of it" });
    await system.settle();
    await system.hear();
    await expectBooks(paymentId, "CAPTURED", { refunded: 1_500 });
    expect(await parkedOf(paymentId)).toHaveLength(0);
    expect((await system.rowOf(paymentId)).refund_requested_minor_units).toBe(1_500n);
    await admin().refundPayment({ requestId: `rest-${paymentId}`, paymentId, reason: "the rest" });
    await system.settle();
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 1_999 });
  });

  test("while all is going back: what Stripe still has goes back when we hear of it, by itself and once", async () => {
    const { paymentId, orderId } = await system.paid();
    system.fake.refund(paymentId, 1_500);
    const remainder = { paymentId, orderId, reason: "the order was cancelled" };
    await ask(system, RefundRemainder, remainder);
    await expectUnheard(paymentId, 1_500);
    await system.hear();
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 1_999 });
    await ask(system, RefundRemainder, remainder);
    expect(typesOf(paymentId)).toEqual(["payment.captured", "payment.refunded", "payment.refunded"]);
    expect(toldOf(paymentId)[2]?.body).toMatchObject({ amount: eur(499n), reason: "the order was cancelled" });
  });

  test("while all is going back, and told before Stripe has refused ours: what it still has goes back too", async () => {
    const { paymentId, orderId } = await system.paid();
    system.fake.refund(paymentId, 1_500);
    let asked = false;
    system.fake.disturb((method, path) => {
      if (method !== "POST" || path !== "/v1/refunds" || asked) return undefined;
      asked = true;
      return "slow";
    });
    const asking = ask(system, RefundRemainder, { paymentId, orderId, reason: "the order was cancelled" });
    await eventually(() => asked);
    const hearing = system.hear();
    await eventually(async () => (await system.balanceOf(paymentId)).refunded === 1_500);
    system.fake.goOn();
    await Promise.all([asking, hearing]);
    system.fake.disturb(() => undefined);
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 1_999 });
  });

  test("of an order that goes on: what was refused is a person's to ask for again", async () => {
    const { paymentId } = await system.paid();
    system.fake.refund(paymentId, 1_500);
    await admin().refundPayment({ requestId: paymentId, paymentId, amount: eur(600n), reason: "a broken cup" });
    await system.settle();
    await system.hear();
    await expectBooks(paymentId, "CAPTURED", { refunded: 1_500 });
  });

  test("that we made too is one refund, whether the answer or the event is first", async () => {
    const { paymentId } = await system.paid();
    let early = 0;
    system.fake.disturb((method, path) => {
      if (method === "POST" && path === "/v1/refunds") early += 1;
      return method === "POST" && early === 1 ? "cut-after" : undefined;
    });
    await admin().refundPayment({ requestId: paymentId, paymentId, amount: eur(400n), reason: "a broken cup" });
    await system.hear();
    system.fake.disturb(() => undefined);
    await system.settle();
    await expectBooks(paymentId, "CAPTURED", { refunded: 400 });
    expect(typesOf(paymentId)).toEqual(["payment.captured", "payment.refunded"]);
    expect(toldOf(paymentId)[1]?.body).toMatchObject({ reason: "a broken cup", kept: eur(1_599n) });
  });
});

describe("a refund that fails at the customer's bank", () => {
  test("is here again, is told, and can be given back another way", async () => {
    const { paymentId } = await system.paid();
    await admin().refundPayment({ requestId: paymentId, paymentId, reason: "returned" });
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 1_999 });
    const [refund] = [...system.fake.refunds.values()].slice(-1);
    system.fake.failRefund(refund?.id ?? "");
    await system.hear();
    await expectBooks(paymentId, "CAPTURED", {});
    expect(typesOf(paymentId)).toEqual(["payment.captured", "payment.refunded", "payment.refund_reversed"]);
    expect(toldOf(paymentId)[2]?.body).toMatchObject({
      amount: eur(1_999n),
      kept: eur(1_999n),
      reason: "the bank did not take the refund: lost or stolen card",
    });
    await admin().refundPayment({ requestId: `again-${paymentId}`, paymentId, reason: "by another card" });
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 1_999 });
  });

  test("told before it was made, it was never made", async () => {
    const { paymentId } = await system.paid();
    system.fake.failRefund(system.fake.refund(paymentId, 100).id);
    await system.hear(system.fake.events.splice(0).toReversed());
    await expectBooks(paymentId, "CAPTURED", {});
    expect(typesOf(paymentId)).toEqual(["payment.captured"]);
  });
});

describe("a dispute", () => {
  test("takes the money, and gives it back when it is won; an inquiry does neither", async () => {
    const { paymentId } = await system.paid();
    system.fake.dispute(paymentId, 1_999, "inquiry");
    await system.hear();
    await expectBooks(paymentId, "CAPTURED", {});
    const { id } = system.fake.dispute(paymentId);
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { disputed: 1_999 });
    const { payment } = await admin().getPayment({ paymentId });
    expect(payment).toMatchObject({ status: PaymentStatus.REFUNDED, refunded: eur(0n), disputed: eur(1_999n) });
    system.fake.winDispute(id);
    await system.hear();
    await expectBooks(paymentId, "CAPTURED", {});
    expect(toldOf(paymentId).slice(1)).toMatchObject([
      { type: "payment.refunded", body: { reason: "disputed at the bank: fraudulent", kept: eur(0n) } },
      { type: "payment.refund_reversed", body: { kept: eur(1_999n) } },
    ]);
  });

  test("of more than is left shows what is missing, and nothing is given back beside it", async () => {
    const { paymentId } = await system.paid();
    system.fake.refund(paymentId, 500);
    system.fake.dispute(paymentId);
    await system.hear();
    await expectBooks(paymentId, "REFUNDED", { refunded: 500, disputed: 1_999 });
    expect(toldOf(paymentId).at(-1)?.body).toMatchObject({ kept: eur(-500n) });
    await expect(admin().refundPayment({ requestId: paymentId, paymentId, reason: "more" })).rejects.toThrow("0 EUR");
  });
});

test("events of another amount or currency than was booked are parked, not believed", async () => {
  const { paymentId } = await system.paid();
  const { id } = system.fake.refund(paymentId, 500);
  const events = system.fake.events.splice(0);
  await system.hear(events.slice(0, 1));
  const [updated] = events.slice(1);
  if (!updated) throw new Error("a refund is told twice");
  await system.hear([{ ...updated, data: { object: { ...updated.data.object, amount: 501 } as never } }]);
  expect(await parkedOf(paymentId)).toMatchObject([{ error: expect.stringContaining(`refunded ${id}`) }]);
  await expectBooks(paymentId, "CAPTURED", { refunded: 500 });
});

test("a movement that is applied again moves nothing", async () => {
  const { paymentId } = await system.paid();
  system.fake.refund(paymentId, 500);
  await system.hear();
  const rows = await system.payment.sql<
    { event_id: string }[]
  >`select event_id from provider_events where payment_id = ${paymentId}`;
  for (const { event_id: eventId } of rows)
    await ask(system, ApplyProviderEvent, { provider: "stripe", eventId, paymentId });
  await expectBooks(paymentId, "CAPTURED", { refunded: 500 });
  expect(typesOf(paymentId)).toEqual(["payment.captured", "payment.refunded"]);
});

test("every order of a capture, a refund that fails, one that does not, and a dispute that is won ends the same, heard twice or once", async () => {
  for (let turn = 0; turn < 12; turn++) {
    const next = await system.started();
    system.fake.pay(next.paymentId);
    system.fake.failRefund(system.fake.refund(next.paymentId, 300).id);
    system.fake.refund(next.paymentId, 200);
    system.fake.winDispute(system.fake.dispute(next.paymentId, 1_000).id);
    const events = system.fake.events.splice(0);
    expect(events).toHaveLength(11);
    const shuffled = events
      .map((event, at) => ({ event, by: (at * 7 + turn * 5) % 11 }))
      .toSorted((a, b) => a.by - b.by);
    await system.hear(shuffled.flatMap(({ event }, at) => (at % 3 === turn % 3 ? [event, event] : [event])));
    await expectBooks(next.paymentId, "CAPTURED", { refunded: 200 });
  }
});
