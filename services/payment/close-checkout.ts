import type { Envelope } from "../../packages/api/envelope.ts";
import type { CloseCheckout } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { type PaymentConfig, providerOf } from "./config.ts";
import { findPayment } from "./store.ts";

/** What the provider says of its page; null when it never opened one. */
export async function closeCheckout(app: App<PaymentConfig>, { body }: Envelope<CloseCheckout>) {
  const { paymentId } = body;
  const payment = await findPayment(app.sql, null, paymentId);
  if (!payment) throw new Error(`there is no payment ${paymentId} to close`);
  if (!payment.provider_reference) return null;
  return providerOf(app, payment.provider).closeCheckout(payment.provider_reference);
}

/** Nothing is to be written: the payment is not open any more since its order ended, and money that was faster is told by an event. */
export function settleClosing(
  app: App<PaymentConfig>,
  { body }: Message<CloseCheckout>,
  found: "closed" | "decided" | null,
): void {
  app.log.info("checkout.closed", { payment_id: body.paymentId, found: found ?? "never opened" });
}
