import type { RefundCancelledOrder as Remainder } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import type { PaymentConfig } from "./config.ts";
import { leftOf, type Payment } from "./payment.ts";
import { promiseRefund, refuseUncaptured } from "./refund-payment.ts";
import { isRefusedRemainder, lockPayment } from "./store.ts";

const REQUESTED_BY = "refund-cancelled-order";

/** Gives back all that is left. Asked again, nothing is left. */
export async function refundRemainder(app: App<PaymentConfig>, { body, tx }: Message<Remainder>): Promise<void> {
  const { paymentId, orderId, reason } = body;
  const payment = await lockPayment(tx.sql, paymentId);
  if (payment?.order_id !== orderId) throw notFound("payment", `${paymentId} of order ${orderId}`);
  refuseUncaptured(payment);
  const left = leftOf(payment);
  if (left > 0n) await promiseRefund(app, tx, payment, left, reason, REQUESTED_BY);
}

/**
 * All is to go back, and the provider has refused what was asked for, because its own people or a bank were faster: once we know of that, what is left is asked for.
 * The caller holds the payment's lock.
 */
export async function refundWhatWasRefused(app: App<PaymentConfig>, tx: Tx, payment: Payment): Promise<void> {
  const left = leftOf(payment);
  if (left > 0n && (await isRefusedRemainder(tx.sql, payment, REQUESTED_BY)))
    await promiseRefund(app, tx, payment, left, "the order was cancelled", REQUESTED_BY);
}
