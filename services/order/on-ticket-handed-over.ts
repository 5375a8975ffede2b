import type { TicketHandedOver } from "../../packages/api/facts.ts";
import type { Body } from "../../packages/api/messages.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import { complete } from "./move-order.ts";
import { lockOrders } from "./store.ts";

export async function onTicketHandedOver(
  app: App,
  tx: Tx,
  { orderId, ticketId }: Body<typeof TicketHandedOver>,
): Promise<void> {
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!order) throw notFound("order", orderId);
  if (order.status === "PAID") await complete(app, tx, order, { cause: "ticket.handed_over", actor: "kitchen" });
  // Handed over while an admin cancelled: the money went back, the food did not; a person should know.
  else app.log.warn("order.handed_over_unpaid", { order_id: orderId, ticket_id: ticketId, status: order.status });
}
