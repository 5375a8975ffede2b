import type { PaymentFailed } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { writePaymentMails } from "./order-mails.ts";
import { paymentDeclined } from "./templates.tsx";

export function onPaymentFailed(app: App, tx: Tx, messages: Message<PaymentFailed>[]): Promise<void> {
  return writePaymentMails(app, tx, messages, "payment_declined", (body, name) =>
    paymentDeclined(name, body.orderId, body.amount, body.reason),
  );
}
