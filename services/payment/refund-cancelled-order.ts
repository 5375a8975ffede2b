import type { RefundCancelledOrder } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { leftOf } from "./payment.ts";
import { promiseRefund, refuseUncaptured } from "./refund-payment.ts";
import { lockPayment } from "./store.ts";

/** Gives back all that is left. Asked again, nothing is left. */
export async function refundCancelledOrder(
  app: App<PaymentConfig>,
  tx: Tx,
  { paymentId, orderId, reason }: RefundCancelledOrder,
): Promise<void> {
  const payment = await lockPayment(tx.sql, paymentId);
  if (payment?.order_id !== orderId) throw notFound("payment", `${paymentId} of order ${orderId}`);
  refuseUncaptured(payment);
  const left = leftOf(payment);
  if (left > 0n) await promiseRefund(app, tx, payment, left, reason, "refund-cancelled-order");
}
