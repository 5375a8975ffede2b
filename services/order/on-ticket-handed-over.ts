import type { TicketHandedOver } from "../../packages/api/gen/bodega/kitchen/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { complete } from "./move-order.ts";
import { lockOrders } from "./store.ts";

export async function onTicketHandedOver(app: App, { body, tx }: Message<TicketHandedOver>): Promise<void> {
  const { orderId, ticketId } = body;
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!order) throw notFound("order", orderId);
  if (order.status === "PAID") await complete(app, tx, order, { cause: "ticket.handed_over", actor: "kitchen" });
  // Handed over while an admin cancelled: the money went back, the food did not; a person should know.
  else app.log.warn("order.handed_over_unpaid", { order_id: orderId, ticket_id: ticketId, status: order.status });
}
