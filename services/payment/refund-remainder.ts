import type { RefundCancelledOrder as Remainder } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import type { PaymentConfig } from "./config.ts";
import { leftOf } from "./payment.ts";
import { promiseRefund, refuseUncaptured } from "./refund-payment.ts";
import { lockPayment } from "./store.ts";

/** Gives back all that is left. Asked again, nothing is left. */
export async function refundRemainder(app: App<PaymentConfig>, { body, tx }: Message<Remainder>): Promise<void> {
  const { paymentId, orderId, reason } = body;
  const payment = await lockPayment(tx.sql, paymentId);
  if (payment?.order_id !== orderId) throw notFound("payment", `${paymentId} of order ${orderId}`);
  refuseUncaptured(payment);
  const left = leftOf(payment);
  if (left > 0n) await promiseRefund(app, tx, payment, left, reason, "refund-cancelled-order");
}
