import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderCancelled } from "../../packages/api/facts.ts";
import { PaymentService, ProblemSchema } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { factMessage, hearing, tell } from "../../tests/kit/messages.ts";
import { startPaymentSystem } from "../../tests/kit/services/payment.ts";
import { type StripeSystem, startStripeSystem } from "../../tests/kit/services/stripe.ts";
import { RECONCILE } from "./reconcile.ts";

const EUR = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });
const LATER_MS = 11 * 60_000;

let system: StripeSystem;
beforeAll(async () => {
  system = await startStripeSystem();
  await hearing(system, "payment", factMessage(system, OrderCancelled, { orderId: system.random.id() }));
});
afterAll(() => system.close());

/** What it finds about one payment, and then all that follows of it. */
async function found(paymentId: string) {
  const { differences } = await system.as("admin", PaymentService).reconcile({});
  await system.settle();
  return differences
    .filter((each) => each.paymentId === paymentId)
    .map(({ problem, kind, mended }) => [ProblemSchema.value[problem]?.localName, kind, mended]);
}

/** Its events are lost for good. */
const lose = () => system.fake.events.splice(0);

async function expectAgreement(paymentId: string) {
  expect(await system.balanceOf(paymentId)).toEqual(
    system.fake.balances().get(paymentId) ?? { captured: 0, refunded: 0, disputed: 0 },
  );
  expect(await found(paymentId)).toEqual([]);
}

describe("an event that never came is mended", () => {
  test("a capture, and with it the refund that waited for it", async () => {
    const { paymentId } = await system.started();
    system.fake.pay(paymentId);
    lose();
    system.fake.refund(paymentId, 500);
    await system.hear();
    expect(await found(paymentId)).toEqual([
      ["MISSED", "captured", true],
      ["MISSED", "refunded", true],
    ]);
    await expectAgreement(paymentId);
    expect(system.told.filter(({ key }) => key === paymentId).map(({ type }) => type)).toEqual([
      "payment.captured",
      "payment.refunded",
    ]);
  });

  test("a page that expired", async () => {
    const { paymentId } = await system.started();
    system.fake.expire(paymentId);
    lose();
    expect(await found(paymentId)).toEqual([["MISSED", "abandoned", true]]);
    expect((await system.rowOf(paymentId)).status).toBe("ABANDONED");
    await expectAgreement(paymentId);
  });

  test("a refund made at Stripe, then its failure, a dispute, then its end", async () => {
    const { paymentId } = await system.paid();
    const { id } = system.fake.refund(paymentId, 300);
    lose();
    expect(await found(paymentId)).toEqual([["MISSED", "refunded", true]]);
    await expectAgreement(paymentId);
    system.fake.failRefund(id);
    const dispute = system.fake.dispute(paymentId);
    lose();
    expect(await found(paymentId)).toEqual([
      ["MISSED", "refund_failed", true],
      ["MISSED", "disputed", true],
    ]);
    await expectAgreement(paymentId);
    system.fake.winDispute(dispute.id);
    lose();
    expect(await found(paymentId)).toEqual([["MISSED", "dispute_won", true]]);
    await expectAgreement(paymentId);
  });

  test("and when it comes after all, nothing happens twice", async () => {
    const { paymentId } = await system.started();
    system.fake.pay(paymentId);
    system.fake.refund(paymentId, 500);
    const late = lose();
    await found(paymentId);
    await system.hear(late);
    await expectAgreement(paymentId);
  });
});

describe("everything else is told, and left to a person", () => {
  test("a capture of another amount than was asked for", async () => {
    const { paymentId } = await system.started();
    Object.assign(system.fake.sessionOf(paymentId), { amount_total: 1_500 });
    system.fake.pay(paymentId);
    lose();
    expect(await found(paymentId)).toEqual([["DIFFERS", "captured", false]]);
    expect((await system.rowOf(paymentId)).status).toBe("PENDING");
  });

  test("money for a payment that nobody knows", async () => {
    const paymentId = system.random.id();
    const { id } = system.fake.openSession({
      client_reference_id: paymentId,
      metadata: { payment_id: paymentId },
      intentMetadata: { payment_id: paymentId },
      amount_total: 100,
      currency: "eur",
      success_url: "https://shop.test",
      cancel_url: null,
    });
    system.fake.pay(id);
    lose();
    expect(await found(paymentId)).toEqual([["UNKNOWN_PAYMENT", "captured", false]]);
  });

  test("a capture and a refund that Stripe does not show, once they are not on their way any more", async () => {
    const { paymentId } = await system.paid();
    await system
      .as("admin", PaymentService)
      .refundPayment({ requestId: paymentId, paymentId, amount: EUR(1n), reason: "x" });
    await system.settle();
    lose();
    system.fake.sessions.delete(system.fake.sessionOf(paymentId).id);
    system.fake.refunds.clear();
    expect(await found(paymentId)).toEqual([]);
    await system.advance(LATER_MS);
    expect(await found(paymentId)).toEqual([
      ["NOT_AT_PROVIDER", "captured", false],
      ["NOT_AT_PROVIDER", "refunded", false],
    ]);
  });

  test("an event that could not be acted on, and money of a cancelled order that nobody gives back", async () => {
    const { paymentId, orderId } = await system.paid();
    await tell(system, factMessage(system, OrderCancelled, { orderId }));
    await system.payment.sql`update provider_events set applied_at = null where payment_id = ${paymentId}`;
    await system.advance(LATER_MS);
    expect(await found(paymentId)).toEqual([
      ["NOT_APPLIED", "captured", false],
      ["OWED", "captured", false],
    ]);
    const text = (await system.payment.metrics.expose()).body;
    expect(text).toMatch(/bodega_reconcile_differences\{service="payment",problem="owed"\} [1-9]/);
    expect(text).toContain('bodega_reconcile_differences{service="payment",problem="missed"} 0');
    expect(
      system.lines.some(({ event, payment_id }) => event === "reconcile.difference" && payment_id === paymentId),
    ).toBe(true);
  });
});

test("nobody but an admin compares the books", async () => {
  const { code } = ConnectError.from(await system.payments.reconcile({}).catch((error: unknown) => error));
  expect(code).toBe(Code.PermissionDenied);
});

test("by itself it runs when the service has started, and mends what was lost while it was away", async () => {
  const embedded = await startPaymentSystem();
  const ran = () => embedded.lines.filter(({ event }) => event === "reconcile.done").length;
  await eventually(() => ran() === 1);
  const { paymentId } = await embedded.started();
  embedded.payment.config.deliver = async () => new Response(null, { status: 503 });
  await embedded.decide(paymentId, "succeeded");
  expect((await embedded.rowOf(paymentId)).status).toBe("PENDING");
  await RECONCILE.run(embedded.payment);
  await embedded.settle();
  expect((await embedded.rowOf(paymentId)).status).toBe("CAPTURED");
  expect(embedded.lines.filter(({ event }) => event === "reconcile.mended")).toMatchObject([{ payment_id: paymentId }]);
  await embedded.close();
});
