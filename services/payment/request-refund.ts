import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PaymentRefunded } from "../../packages/api/facts.ts";
import type { RequestRefund } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { PaymentConfig } from "./config.ts";
import { money } from "./payment.ts";
import { findPayment, findRefund, type Refund, settleRefund } from "./store.ts";

const EVERYBODY = { userId: "", admin: true };

/** Tells the provider; may run again after a crash, the refund's id makes it one refund. */
export async function requestRefund(app: App<PaymentConfig>, { refundId, paymentId }: RequestRefund): Promise<Refund> {
  const [payment, refund] = await Promise.all([
    findPayment(app.sql, EVERYBODY, paymentId),
    findRefund(app.sql, refundId),
  ]);
  if (!payment?.provider_reference || refund?.payment_id !== paymentId)
    throw new Error(`refund ${refundId} of payment ${paymentId} has lost its rows`);
  await app.config.provider(app).refund({
    refundId,
    providerReference: payment.provider_reference,
    amount: money(payment, refund.amount_minor_units),
  });
  return refund;
}

export async function settleRequestedRefund(
  app: App<PaymentConfig>,
  tx: Tx,
  { refundId }: RequestRefund,
  refund: Refund,
): Promise<void> {
  const now = app.clock.now();
  const payment = await settleRefund(tx.sql, refundId, now);
  if (!payment) return;
  tx.emit(PaymentRefunded, {
    paymentId: payment.payment_id,
    orderId: payment.order_id,
    customerId: payment.customer_id,
    amount: money(payment, refund.amount_minor_units),
    reason: refund.reason,
    refundedAt: timestampFromDate(now),
  });
  if (payment.status === "REFUNDED") app.metrics.moves.inc({ aggregate: "payment", to: "REFUNDED" });
}
