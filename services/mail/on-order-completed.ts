import type { OrderCompleted } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { writeOrderMails } from "./order-mails.ts";
import { orderCompleted } from "./templates.tsx";

export function onOrderCompleted(app: App, tx: Tx, messages: Message<OrderCompleted>[]): Promise<void> {
  return writeOrderMails(app, tx, messages, "COMPLETED", "order_completed", (body, name) =>
    orderCompleted(name, body.orderId, body.total),
  );
}
