import { afterAll, beforeAll, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { RefundRemainder, RequestRefund } from "../../packages/api/jobs.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { ask } from "../../tests/kit/messages.ts";
import { type PaymentSystem, startPaymentSystem, TOTAL } from "../../tests/kit/services/payment.ts";
import type { PaymentProvider } from "./provider/provider.ts";

const HOUR_MS = 3_600_000;
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
  await Promise.all([ask(system, RefundRemainder, job, same), ask(system, RefundRemainder, job)]);
  await ask(system, RefundRemainder, job, same);
  await ask(system, RefundRemainder, job);
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
  await ask(system, RefundRemainder, { paymentId, orderId, reason: "the order was cancelled" });
  stepAside();
  expect(calls).toBe(4);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
  expect((await system.rowOf(paymentId)).status).toBe("REFUNDED");
  expect(refundsTold(paymentId)).toHaveLength(1);
});

test("a refund that was settled and is performed again changes nothing", async () => {
  const { paymentId, orderId } = await captured();
  await ask(system, RefundRemainder, { paymentId, orderId, reason: "the order was cancelled" });
  const [refund] = await system.payment.sql<
    { refund_id: string }[]
  >`select refund_id from refunds where payment_id = ${paymentId}`;
  await ask(system, RequestRefund, { refundId: refund?.refund_id ?? "", paymentId });
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(0);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
  expect(refundsTold(paymentId)).toHaveLength(1);
});

test("while the provider is away a refund waits, and goes back within a minute of its return, without hands", async () => {
  const { paymentId, orderId } = await captured();
  const tries: number[] = [];
  const stepAside = between(() => ({
    refund() {
      tries.push(system.clock.now().getTime());
      return Promise.reject(new ConnectError("the provider is away", Code.Unavailable));
    },
  }));
  await ask(system, RefundRemainder, { paymentId, orderId, reason: "the order was cancelled" });
  for (let hour = 0; hour < 23; hour++) await system.advance(HOUR_MS);
  stepAside();
  expect(tries.length).toBeGreaterThan(23);
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(0);
  expect((await system.rowOf(paymentId)).status).toBe("CAPTURED");
  await system.advance(60_000);
  expect((await system.rowOf(paymentId)).status).toBe("REFUNDED");
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
});

/** A refund that the provider refuses for good; gives back the ids of what was parked. */
async function refused() {
  const { paymentId, orderId } = await captured();
  const stepAside = between(() => ({
    refund: () => Promise.reject(new ConnectError("the card does not exist any more", Code.InvalidArgument)),
  }));
  await ask(system, RefundRemainder, { paymentId, orderId, reason: "the order was cancelled" });
  stepAside();
  const { parked } = await system.as("admin", OpsService).listParked({});
  const parkedIds = parked.filter(({ key }) => key === paymentId).map(({ parkedId }) => parkedId);
  expect(parkedIds).toHaveLength(1);
  const replay = () => system.as("admin", OpsService).replayParked({ service: "payment", parkedIds });
  return { paymentId, parkedIds, replay };
}

const refundsOf = async (paymentId: string) =>
  (await system.payment.sql`select status, error from refunds where payment_id = ${paymentId} order by refund_id`).map(
    (row) => [row["status"], row["error"]],
  );

test("a refund the provider refuses is FAILED, its money is shown as owed, and it can be replayed", async () => {
  const { paymentId, replay } = await refused();
  expect(await refundsOf(paymentId)).toEqual([["FAILED", expect.stringContaining("does not exist any more")]]);
  expect((await admin().getPayment({ paymentId })).payment).toMatchObject({
    status: PaymentStatus.CAPTURED,
    refunded: eur(0n),
    owed: TOTAL,
  });
  await replay();
  await system.advance(1);
  expect((await admin().getPayment({ paymentId })).payment).toMatchObject({
    status: PaymentStatus.REFUNDED,
    refunded: TOTAL,
    owed: eur(0n),
  });
  expect(await refundsOf(paymentId)).toEqual([["DONE", ""]]);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
});

test("a refund that was given up and discarded leaves money that can be asked for again", async () => {
  const { paymentId, parkedIds } = await refused();
  await system.as("admin", OpsService).discardParked({ service: "payment", parkedIds, reason: "by hand" });
  await admin().refundPayment({ requestId: `by-hand-${paymentId}`, paymentId, reason: "by hand" });
  await system.settle();
  expect((await admin().getPayment({ paymentId })).payment).toMatchObject({
    status: PaymentStatus.REFUNDED,
    owed: eur(0n),
  });
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
});

test("a failed refund that is replayed after its money went back otherwise gives nothing back twice", async () => {
  const { paymentId, replay } = await refused();
  await admin().refundPayment({ requestId: `otherwise-${paymentId}`, paymentId, reason: "by hand" });
  await system.settle();
  await replay();
  await system.advance(1);
  expect(await system.givenBack(paymentId)).toEqual([1_999n]);
  const statuses = (await refundsOf(paymentId)).map(([status]) => status);
  expect(statuses.toSorted()).toEqual(["DONE", "FAILED"]);
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(1);
});

test("a refund for a payment of another order is tried again for an hour, then parked", async () => {
  const { paymentId } = await captured();
  await ask(system, RefundRemainder, { paymentId, orderId: system.random.id(), reason: "mistaken" });
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(0);
  await system.advance(HOUR_MS);
  expect(await system.payment.sql`select 1 from parked where key = ${paymentId}`).toHaveLength(1);
  expect(await system.givenBack(paymentId)).toEqual([]);
});
