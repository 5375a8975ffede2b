import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { paidPoints, writeOrderMails } from "./order-mails.ts";
import { orderCancelled } from "./templates.tsx";

export function onOrderCancelled(app: App, tx: Tx, messages: Message<OrderCancelled>[]): Promise<void> {
  return writeOrderMails(app, tx, messages, "CANCELLED", "order_cancelled", (body, name) =>
    orderCancelled(name, body.orderId, body.reason, body.total, { wasPaid: body.wasPaid, points: paidPoints(body) }),
  );
}
