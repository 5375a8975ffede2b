import type { OrderCreated } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { writeOrderMails } from "./order-mails.ts";
import { orderReceived } from "./templates.tsx";

export function onOrderCreated(app: App, tx: Tx, messages: Message<OrderCreated>[]): Promise<void> {
  return writeOrderMails(app, tx, messages, "PENDING", "order_received", (body, name) =>
    orderReceived(name, body.orderId, body.lines, body.total, body.expiresAt),
  );
}
