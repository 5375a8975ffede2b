import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ApplyProviderEvent, DeliverWebhook, RefundCancelledOrder, RequestRefund } from "../../packages/api/jobs.ts";
import { answers, does, effect, service } from "../../packages/service/service.ts";
import { applyProviderEvent } from "./apply-provider-event.ts";
import type { PaymentConfig } from "./config.ts";
import { deliverWebhook, settleDelivery } from "./deliver-webhook.ts";
import { getPayment } from "./get-payment.ts";
import { listPayments } from "./list-payments.ts";
import { refundCancelledOrder } from "./refund-cancelled-order.ts";
import { refundPayment } from "./refund-payment.ts";
import { requestRefund, settleRequestedRefund } from "./request-refund.ts";
import { startPayment } from "./start-payment.ts";

/** Payments, provider events and refunds. Its pages and webhooks are in routes.ts. */
export const payment = (config: PaymentConfig) =>
  service<PaymentConfig>({
    name: "payment",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    answers: [answers(PaymentService, { startPayment, getPayment, listPayments, refundPayment })],
    hears: [],
    does: [
      does(ApplyProviderEvent, applyProviderEvent),
      does(RefundCancelledOrder, refundCancelledOrder),
      effect(RequestRefund, requestRefund, settleRequestedRefund),
      effect(DeliverWebhook, deliverWebhook, settleDelivery),
    ],
  });
