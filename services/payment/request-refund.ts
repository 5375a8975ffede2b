import { Code, ConnectError } from "@connectrpc/connect";
import type { Envelope } from "../../packages/api/envelope.ts";
import type { RequestRefund } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { reasonOf, refused } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { bookMovement } from "./book-movement.ts";
import { type PaymentConfig, providerOf } from "./config.ts";
import { leftOf, money } from "./payment.ts";
import { refundWhatWasRefused } from "./refund-remainder.ts";
import * as store from "./store.ts";

export interface Requested {
  refund: store.Refund;
  /** The provider has less than that: its own people, or a bank, were faster. */
  refusal: string | null;
}

/** Asks the provider, for which the refund's id makes it one refund however often it is asked. */
export async function requestRefund(app: App<PaymentConfig>, { body }: Envelope<RequestRefund>): Promise<Requested> {
  const { refundId, paymentId } = body;
  const [payment, refund] = await Promise.all([
    store.findPayment(app.sql, null, paymentId),
    store.findRefund(app.sql, refundId),
  ]);
  if (!payment?.provider_reference || refund?.payment_id !== paymentId)
    throw new Error(`refund ${refundId} of payment ${paymentId} has lost its rows`);
  if (refund.status === "FAILED") await promiseAgain(app, refund);
  const asked = providerOf(app, payment.provider).refund({
    refundId,
    paymentId,
    providerReference: payment.provider_reference,
    amount: money(payment, refund.amount_minor_units),
  });
  return { refund, refusal: await asked.then(() => null, nothingToRefund) };
}

/** A failed refund that is replayed. Its money may have gone back otherwise since. */
function promiseAgain(app: App, { refund_id, payment_id, amount_minor_units }: store.Refund): Promise<void> {
  return app.transact(async (tx) => {
    const payment = await store.lockPayment(tx.sql, payment_id);
    if (!payment || leftOf(payment) < amount_minor_units)
      throw refused(
        Code.InvalidArgument,
        "REFUND_TOO_HIGH",
        `refund ${refund_id} of ${amount_minor_units}: so much is not left of payment ${payment_id} any more`,
      );
    await store.promiseAgain(tx.sql, refund_id);
    await store.sumUp(tx.sql, payment_id, app.clock.now());
  });
}

/** This refusal is an answer; everything else is asked again. */
function nothingToRefund(error: unknown): string {
  if (error instanceof ConnectError && reasonOf(error) === "NOTHING_TO_REFUND") return error.rawMessage;
  throw error;
}

/** The money is owed from now on: an admin can replay this refund, or make another. */
export async function failRefund(
  app: App<PaymentConfig>,
  { body, tx }: Message<RequestRefund>,
  error: string,
): Promise<void> {
  const { refundId, paymentId } = body;
  if (!(await store.lockPayment(tx.sql, paymentId)) || !(await store.failRefund(tx.sql, refundId, error))) return;
  await store.sumUp(tx.sql, paymentId, app.clock.now());
  app.metrics.moves.inc({ aggregate: "refund", to: "FAILED" });
  app.log.in(tx.context).error("refund.failed", error, { refund_id: refundId, payment_id: paymentId });
}

export async function settleRequestedRefund(
  app: App<PaymentConfig>,
  { body, tx }: Message<RequestRefund>,
  { refund, refusal }: Requested,
): Promise<void> {
  const { refundId, paymentId } = body;
  const payment = await store.lockPayment(tx.sql, paymentId);
  if (!payment) throw new Error(`refund ${refundId} has lost its payment ${paymentId}`);
  const { currency_code } = payment;
  const { amount_minor_units, reason } = refund;
  const told = { kind: "refunded", provider_reference: null, refund_id: refundId } as const;
  if (refusal === null) return bookMovement(app, tx, payment, { ...told, currency_code, amount_minor_units, reason });
  const now = await store.findRefund(tx.sql, refundId);
  if (now?.status !== "REQUESTED") return;
  await store.moveRefund(tx.sql, refundId, "REFUSED", null, app.clock.now());
  const after = await store.sumUp(tx.sql, paymentId, app.clock.now());
  app.log.error("refund.refused", refusal, { payment_id: paymentId, refund_id: refundId });
  // Else nobody has told us yet what the provider knows: it is asked again when somebody does.
  if (leftOf(after) < amount_minor_units) await refundWhatWasRefused(app, tx, after);
}
