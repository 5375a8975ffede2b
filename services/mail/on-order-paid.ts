import type { OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { paidPoints, writeOrderMails } from "./order-mails.ts";
import { paymentReceived } from "./templates.tsx";

export function onOrderPaid(app: App, tx: Tx, messages: Message<OrderPaid>[]): Promise<void> {
  return writeOrderMails(app, tx, messages, "PAID", "payment_received", (body, name) =>
    paymentReceived(name, body.orderId, body.total, paidPoints(body)),
  );
}
