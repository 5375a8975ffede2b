import type { TicketCancelled } from "../../packages/api/gen/bodega/kitchen/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { cancel } from "./move-order.ts";
import { isRefunded } from "./order.ts";
import { lockOrders } from "./store.ts";

/** The kitchen makes nothing more of it, so a paid order ends here: its money went back, or who cancelled it was interrupted. */
export async function onTicketCancelled(app: App, { body, tx }: Message<TicketCancelled>): Promise<void> {
  const order = (await lockOrders(tx.sql, [body.orderId])).get(body.orderId);
  if (!order) throw notFound("order", body.orderId);
  if (order.status !== "PAID") return;
  const reason = isRefunded(order) ? "REFUNDED" : "ADMIN";
  await cancel(app, tx, order, { reason }, { cause: "ticket.cancelled", actor: "kitchen" });
}
