// Orders that can be paid no more have no open checkout.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { OrderCancelled, OrderPaid } from "../../packages/api/facts.ts";
import { PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { CloseCheckout } from "../../packages/api/jobs.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { ask, factMessage, hearing, tell } from "../../tests/kit/messages.ts";
import { type PaymentSystem, startPaymentSystem } from "../../tests/kit/services/payment.ts";
import { type StripeSystem, startStripeSystem } from "../../tests/kit/services/stripe.ts";

let embedded: PaymentSystem;
let stripe: StripeSystem;
beforeAll(async () => {
  [embedded, stripe] = await Promise.all([startPaymentSystem(), startStripeSystem()]);
  for (const system of [embedded, stripe])
    await hearing(system, "payment", factMessage(system, OrderPaid, { orderId: system.random.id() }));
});
afterAll(() => Promise.all([embedded.close(), stripe.close()]));

const reasonFor = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => reasonOf(ConnectError.from(error)),
  );

const ENDS = [OrderCancelled, OrderPaid] as const;

for (const fact of ENDS) {
  describe(`${fact.type}`, () => {
    test("closes the checkout at Stripe, and the payment is open no more", async () => {
      const { paymentId, orderId } = await stripe.started();
      const message = factMessage(stripe, fact, { orderId });
      await tell(stripe, message, message);
      expect(stripe.fake.sessionOf(paymentId).status).toBe("expired");
      const { payment } = await stripe.payments.getPayment({ paymentId });
      expect(payment).toMatchObject({ status: PaymentStatus.ABANDONED, checkoutUrl: "" });
      await stripe.hear();
      expect((await stripe.rowOf(paymentId)).status).toBe("ABANDONED");
      expect(await (await stripe.http(`/pay/${paymentId}`)).text()).toContain("Checkout closed");
    });

    test("closes the embedded page, which says so and has nothing to press", async () => {
      const { paymentId, orderId } = await embedded.started();
      await tell(embedded, factMessage(embedded, fact, { orderId }));
      expect((await embedded.rowOf(paymentId)).status).toBe("ABANDONED");
      const html = await (await embedded.http(`/pay/${paymentId}`)).text();
      expect(html).toContain("The order has ended, so there is nothing to pay any more");
      expect(html).not.toContain("<form");
    });

    test("lets no payment begin after it, whatever the order service answers for a moment longer", async () => {
      const { orderId } = stripe.givenOrder();
      await tell(stripe, factMessage(stripe, fact, { orderId }));
      expect(await reasonFor(stripe.payments.startPayment({ orderId }))).toBe("ORDER_NOT_PAYABLE");
      expect(await stripe.payment.sql`select 1 from payments where order_id = ${orderId}`).toHaveLength(0);
    });
  });
}

test("a checkout that was declined once, and could still be paid with a second card, is closed too", async () => {
  const { paymentId, orderId } = await embedded.started();
  await embedded.decide(paymentId, "declined");
  await tell(embedded, factMessage(embedded, OrderCancelled, { orderId }));
  expect((await embedded.rowOf(paymentId)).status).toBe("FAILED");
  expect(await (await embedded.http(`/pay/${paymentId}`)).text()).not.toContain("<form");
});

test("money that was faster than the closing is a capture like any other, for the order to send back", async () => {
  const { paymentId, orderId } = await stripe.started();
  stripe.fake.pay(paymentId);
  await tell(stripe, factMessage(stripe, OrderCancelled, { orderId }));
  expect((await stripe.rowOf(paymentId)).status).toBe("ABANDONED");
  await stripe.hear();
  expect((await stripe.rowOf(paymentId)).status).toBe("CAPTURED");
  expect(stripe.told.filter(({ key }) => key === paymentId).map(({ type }) => type)).toEqual(["payment.captured"]);
});

test("an order that ends while Stripe opens the page: the page is closed again, and nobody gets its link", async () => {
  const { orderId } = stripe.givenOrder();
  let asked = false;
  stripe.fake.disturb((method, path) => {
    if (method !== "POST" || path !== "/v1/checkout/sessions" || asked) return undefined;
    asked = true;
    return "slow";
  });
  const starting = reasonFor(stripe.payments.startPayment({ orderId }));
  await eventually(() => asked);
  await tell(stripe, factMessage(stripe, OrderCancelled, { orderId }));
  stripe.fake.goOn();
  expect(await starting).toBe("ORDER_NOT_PAYABLE");
  stripe.fake.disturb(() => undefined);
  await stripe.settle();
  const [row] = await stripe.payment.sql<{ payment_id: string }[]>`select * from payments where order_id = ${orderId}`;
  expect(stripe.fake.sessionOf(row?.payment_id ?? "").status).toBe("expired");
});

test("starts and ends of one order at the same moment leave no open checkout, fifty times", async () => {
  const orders = Array.from({ length: 50 }, () => stripe.givenOrder().orderId);
  const starts = orders.map((orderId) => reasonFor(stripe.payments.startPayment({ orderId })));
  await stripe.platform.events.publish(orders.map((orderId) => factMessage(stripe, OrderCancelled, { orderId })));
  expect(new Set(await Promise.all(starts)).difference(new Set(["done", "ORDER_NOT_PAYABLE"])).size).toBe(0);
  await stripe.settle();
  const open = await stripe.payment
    .sql`select payment_id from payments where order_id = any(${orders}) and status = 'PENDING'`;
  expect(open).toHaveLength(0);
  const pages = [...stripe.fake.sessions.values()].filter(({ metadata }) =>
    orders.includes(metadata["order_id"] ?? ""),
  );
  expect(pages.filter(({ status }) => status === "open")).toEqual([]);
});

test("a checkout that is closed again stays closed, and one that was never opened needs none", async () => {
  const { paymentId, orderId } = await stripe.started();
  await tell(stripe, factMessage(stripe, OrderCancelled, { orderId }));
  await ask(stripe, CloseCheckout, { paymentId });
  await stripe.payment.sql`update payments set provider_reference = null where payment_id = ${paymentId}`;
  await ask(stripe, CloseCheckout, { paymentId });
  expect(await stripe.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(0);
  expect(stripe.fake.sessionOf(paymentId).status).toBe("expired");
});
