import type { PaymentRefunded, PaymentRefundReversed } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import { CancelTicket } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import { invalidField, notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { cancel } from "./move-order.ts";
import { isRefunded, needsKitchen } from "./order.ts";
import { lockOrders, updateOrders } from "./store.ts";

/** Money went back, or came again. An order of which nothing is kept ends, unless it was handed over: what the kitchen makes, the kitchen's ticket decides. */
export async function onPaymentRefunded(
  app: App,
  { body, tx }: Message<PaymentRefunded | PaymentRefundReversed>,
): Promise<void> {
  const { orderId, paymentId } = body;
  const found = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!found) throw notFound("order", orderId);
  // Of a second payment, or of one that came too late: it never was this order's money.
  if (found.paymentId !== paymentId) return;
  if (!body.kept) throw invalidField("kept", `is missing, of payment ${paymentId}`);
  const refundedMinorUnits = found.totalMinorUnits - body.kept.minorUnits;
  const order = { ...found, refundedMinorUnits, version: found.version + 1n };
  await updateOrders(tx.sql, [order]);
  tx.changed(orderId);
  if (order.status !== "PAID" || !isRefunded(order)) return;
  if (needsKitchen(order)) tx.enqueue(CancelTicket, { orderId });
  else await cancel(app, tx, order, { reason: "REFUNDED" }, { cause: "payment.refunded", actor: "payment" });
}
