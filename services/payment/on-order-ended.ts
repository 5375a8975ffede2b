import type { OrderCancelled, OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import { CloseCheckout } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import type { PaymentConfig } from "./config.ts";
import { abandonPayments, endOrders, listUnpaid } from "./store.ts";

// An order that can be paid no more has no open checkout. Money that was faster, or is on its way, is told by the provider, and goes back.

export function onOrderPaid(app: App<PaymentConfig>, tx: Tx, messages: Message<OrderPaid>[]): Promise<void> {
  return end(app, tx, messages, "PAID");
}

export function onOrderCancelled(app: App<PaymentConfig>, tx: Tx, messages: Message<OrderCancelled>[]): Promise<void> {
  return end(app, tx, messages, "CANCELLED");
}

async function end(
  app: App<PaymentConfig>,
  tx: Tx,
  messages: Message<{ orderId: string }>[],
  status: "PAID" | "CANCELLED",
): Promise<void> {
  const ended = new Map(messages.map(({ body, tx: own }) => [body.orderId, own]));
  const orderIds = [...ended.keys()];
  await endOrders(tx.sql, orderIds, status);
  const abandoned = await abandonPayments(tx.sql, orderIds);
  app.metrics.moves.inc({ aggregate: "payment", to: "ABANDONED" }, abandoned.length);
  for (const { payment_id: paymentId, order_id } of await listUnpaid(tx.sql, orderIds))
    ended.get(order_id)?.enqueue(CloseCheckout, { paymentId });
}
