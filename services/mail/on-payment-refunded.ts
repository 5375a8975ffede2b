import type { PaymentRefunded } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { writePaymentMails } from "./order-mails.ts";
import { refund } from "./templates.tsx";

export function onPaymentRefunded(app: App, tx: Tx, messages: Message<PaymentRefunded>[]): Promise<void> {
  return writePaymentMails(app, tx, messages, "refund", (body, name) =>
    refund(name, body.orderId, body.amount, body.reason),
  );
}
