import type { GetPaymentRequest } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { type Caller, ownerOf } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { paymentMessage } from "./payment.ts";
import { findNewestPayment, findPayment } from "./store.ts";

export async function getPayment(app: App<PaymentConfig>, caller: Caller, { paymentId, orderId }: GetPaymentRequest) {
  const payment = paymentId
    ? await findPayment(app.sql, ownerOf(caller), paymentId)
    : await findNewestPayment(app.sql, ownerOf(caller), orderId);
  if (!payment) throw notFound("payment", paymentId || `of order ${orderId}`);
  return { payment: paymentMessage(payment) };
}
