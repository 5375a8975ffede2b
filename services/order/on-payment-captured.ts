import type { PaymentCaptured } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import { RefundRemainder } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { pay } from "./move-order.ts";
import { lockOrders } from "./store.ts";

/** Payment and expiry may meet here: whoever locks the order first while it is PENDING wins. Money that came too late, or after points, goes back. */
export async function onPaymentCaptured(app: App, { body, tx }: Message<PaymentCaptured>): Promise<void> {
  const { orderId, paymentId } = body;
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!order) throw notFound("order", orderId);
  if (order.paymentId === paymentId) return;
  if (order.status === "PENDING") {
    await pay(app, tx, order, { paymentId }, { cause: "payment.captured", actor: "payment" });
    return;
  }
  app.log.warn("order.paid_too_late", { order_id: orderId, payment_id: paymentId, status: order.status });
  const reason = order.status === "CANCELLED" ? "the order was already cancelled" : "the order was already paid";
  tx.enqueue(RefundRemainder, { paymentId, orderId, reason });
}
