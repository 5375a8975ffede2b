import { afterAll, beforeAll, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { RefundCancelledOrder, RequestRefund } from "../../packages/api/jobs.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { ask } from "../../tests/messages.ts";
import { type PaymentSystem, startPaymentSystem, TOTAL } from "../../tests/payment-system.ts";
import type { PaymentProvider } from "./provider.ts";

let system: PaymentSystem;
beforeAll(async () => {
  system = await startPaymentSystem();
});
afterAll(() => system.close());

const admin = () => system.as("admin", PaymentService);
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => reasonOf(ConnectError.from(error)),
  );
const eur = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });
const refundsTold = (paymentId: string) =>
  system.told.filter(({ key, type }) => key === paymentId && type === "payment.refunded");

async function captured() {
  const opened = await system.started();
  await system.decide(opened.paymentId, "succeeded");
  return opened;
}

/** Lets a test stand between the service and its provider; gives back how to step aside. */
function between(wrap: (real: PaymentProvider) => Partial<PaymentProvider>): () => void {
  const { config } = system.payment;
  const real = config.provider;
  config.provider = (app) => ({ ...real(app), ...wrap(real(app)) });
  return () => {
    config.provider = real;
  };
}

test("parts are given back until nothing is left: then the payment is REFUNDED", async () => {
  const { paymentId } = await captured();
  await admin().refundPayment({ requestId: "part", paymentId, amount: eur(500n), reason: "one of four" });
  await system.settle();
  const { payment: partly } = await admin().getPayment({ paymentId });
  expect(partly).toMatchObject({ status: PaymentStatus.CAPTURED, refunded: eur(500n) });
  await admin().refundPayment({ requestId: "rest", paymentId, reason: "all of it" });
  await system.settle();
  const { payment } = await admin().getPayment({ paymentId });
  expect(payment).toMatchObject({ status: PaymentStatus.REFUNDED, refunded: TOTAL, amount: TOTAL });
  expect(await system.givenBack(paymentId)).toEqual([500n, 1_499n]);
  expect(refundsTold(paymentId).map(({ body }) => body)).toMatchObject([
    { amount: eur(500n), reason: "one of four" },
    { amount: eur(1_499n) },
  ]);
});

test("a refund is refused above what is left, in another currency, and before any money came", async () => {
  const { paymentId } = await captured();
  const ask = (requestId: string, amount?: { currencyCode: string; minorUnits: bigint }) =>
    refusal(admin().refundPayment({ requestId, paymentId, reason: "test", ...(amount && { amount }) }));
  expect(await ask("too-high", eur(2_000n))).toBe("REFUND_TOO_HIGH");
  expect(await ask("dollars", { currencyCode: "USD", minorUnits: 1n })).toBe("INVALID_ARGUMENT");
  expect(await ask("nothing", eur(0n))).toBe("INVALID_ARGUMENT");
  expect(await ask("most", eur(1_998n))).toBe("done");
  expect(await ask("more", eur(2n))).toBe("REFUND_TOO_HIGH");
  expect(await ask("last", eur(1n))).toBe("done");
  expect(await ask("empty")).toBe("REFUND_TOO_HIGH");
  const open = await system.started();
  expect(await refusal(admin().refundPayment({ requestId: "early", paymentId: open.paymentId, reason: "test" }))).toBe(
    "NOT_CAPTURED",
  );
  expect(
    await refusal(admin().refundPayment({ requestId: "unknown", paymentId: system.random.id(), reason: "test" })),
  ).toBe("PAYMENT_NOT_FOUND");
  await system.settle();
});

test("a request that is repeated is one refund; another under its id is refused", async () => {
  const { paymentId } = await captured();
  const request = { requestId: `twice-${paymentId}`, paymentId, amount: eur(300n), reason: "test" };
  const answers = await Promise.all([
    admin().refundPayment(request),
    admin().refundPayment(request),
    admin().refundPayment(request),
  ]);
  await system.settle();
  expect(new Set(answers.map(({ payment }) => payment?.refunded?.minorUnits)).size).toBe(1);
  expect(await refusal(admin().refundPayment({ ...request, amount: eur(301n) }))).toBe("DUPLICATE_REQUEST_OTHER_BODY");
  expect(await system.givenBack(paymentId)).toEqual([300n]);
});

test("two admins who give back all at once give it back once", async () => {
  const { paymentId } = await captured();
  const answers = await Promise.all(
    ["a", "b", "c"].map((each) =>
      refusal(admin().refundPayment({ requestId: `${each}-${paymentId}`, paymentId, reason: "test" })),
    ),
  );
  await system.settle();
  expect(answers.sort()).toEqual(["REFUND_TOO_HIGH", "REFUND_TOO_HIGH", "done"]);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
});

test("money for a cancelled order goes back once, however often and from wherever it is asked", async () => {
  const { paymentId, orderId } = await captured();
  await admin().refundPayment({
    requestId: `before-${paymentId}`,
    paymentId,
    amount: eur(99n),
    reason: "a broken cup",
  });
  const same = system.random.id();
  const job = { paymentId, orderId, reason: "the order was cancelled" };
  await Promise.all([ask(system, RefundCancelledOrder, job, same), ask(system, RefundCancelledOrder, job)]);
  await ask(system, RefundCancelledOrder, job, same);
  await ask(system, RefundCancelledOrder, job);
  expect(await system.givenBack(paymentId)).toEqual([99n, 1_900n]);
  expect(await system.rowOf(paymentId)).toEqual({
    status: "REFUNDED",
    refunded_minor_units: 1_999n,
    refund_requested_minor_units: 1_999n,
  });
  expect(refundsTold(paymentId)).toHaveLength(2);
});

test("a crash after the provider gave the money back and before that was recorded gives nothing back twice", async () => {
  const { paymentId, orderId } = await captured();
  let calls = 0;
  const stepAside = between((real) => ({
    async refund(refund) {
      await real.refund(refund);
      calls += 1;
      if (calls <= 3) throw new ConnectError("the answer was lost", Code.Unavailable);
    },
  }));
  await ask(system, RefundCancelledOrder, { paymentId, orderId, reason: "the order was cancelled" });
  stepAside();
  expect(calls).toBe(4);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
  expect((await system.rowOf(paymentId)).status).toBe("REFUNDED");
  expect(refundsTold(paymentId)).toHaveLength(1);
});

test("a refund that was settled and is performed again changes nothing", async () => {
  const { paymentId, orderId } = await captured();
  await ask(system, RefundCancelledOrder, { paymentId, orderId, reason: "the order was cancelled" });
  const [refund] = await system.payment.sql<
    { refund_id: string }[]
  >`select refund_id from refunds where payment_id = ${paymentId}`;
  await ask(system, RequestRefund, { refundId: refund?.refund_id ?? "", paymentId });
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(0);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
  expect(refundsTold(paymentId)).toHaveLength(1);
});

test("a refund the provider keeps refusing is parked, still promised, and can be replayed", async () => {
  const { paymentId, orderId } = await captured();
  const stepAside = between(() => ({
    refund: () => Promise.reject(new ConnectError("come back later", Code.Unavailable)),
  }));
  await ask(system, RefundCancelledOrder, { paymentId, orderId, reason: "the order was cancelled" });
  stepAside();
  expect(await system.rowOf(paymentId)).toEqual({
    status: "CAPTURED",
    refunded_minor_units: 0n,
    refund_requested_minor_units: 1_999n,
  });
  const ops = system.as("admin", OpsService);
  const parked = (await ops.listParked({})).parked.filter(({ key }) => key === paymentId);
  expect(parked.map(({ type }) => type)).toEqual(["payment.request-refund"]);
  await ops.replayParked({ service: "payment", parkedIds: parked.map(({ parkedId }) => parkedId) });
  await system.advance(1);
  expect((await system.rowOf(paymentId)).status).toBe("REFUNDED");
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
});

test("a refund for a payment of another order is tried again, then parked", async () => {
  const { paymentId } = await captured();
  await ask(system, RefundCancelledOrder, { paymentId, orderId: system.random.id(), reason: "mistaken" });
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(1);
  expect(await system.givenBack(paymentId)).toEqual([]);
});
