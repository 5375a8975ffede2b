import { OrderCancelled, OrderPaid } from "../../packages/api/facts.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import {
  ApplyProviderEvent,
  CloseCheckout,
  DeliverWebhook,
  ReadWebhook,
  RefundRemainder,
  RequestRefund,
} from "../../packages/api/jobs.ts";
import { forDays, forever } from "../../packages/database/retention.ts";
import { HARMLESS_TO_REPEAT } from "../../packages/service/retry-policies.ts";
import { answers, does, effect, onMany, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { applyProviderEvent } from "./apply-provider-event.ts";
import { closeCheckout, settleClosing } from "./close-checkout.ts";
import { type PaymentConfig, readConfig } from "./config.ts";
import { deliverWebhook } from "./deliver-webhook.ts";
import { getPayment } from "./get-payment.ts";
import { listPayments } from "./list-payments.ts";
import { onOrderCancelled, onOrderPaid } from "./on-order-ended.ts";
import { keepEvent, readWebhook } from "./read-webhook.ts";
import { RECONCILE, reconcile } from "./reconcile.ts";
import { refundPayment } from "./refund-payment.ts";
import { refundRemainder } from "./refund-remainder.ts";
import { failRefund, requestRefund, settleRequestedRefund } from "./request-refund.ts";
import { paymentRoutes } from "./routes.ts";
import { startPayment } from "./start-payment.ts";

/** Payments, provider events and refunds. */
export const payment = (env: Environment) =>
  service<PaymentConfig>({
    name: "payment",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("payments", "the business's record"),
      forever("refunds", "the business's record"),
      forever("orders", "money that comes late is given back by it"),
      forDays(
        730,
        "provider_events",
        { column: "received_at" },
        "what the provider told, for disputes; an event that came to nothing stays",
        "applied_at is not null",
      ),
      forever("provider_checkouts", "the embedded provider's own books"),
      forever("provider_refunds", "the embedded provider's own books"),
      forever("provider_secrets", "one row"),
    ],
    answers: [answers(PaymentService, { startPayment, getPayment, listPayments, refundPayment, reconcile })],
    pages: { paths: ["/pay/:payment_id", "/webhooks/:provider"], serve: paymentRoutes },
    banner: ({ stripe, publicUrl }) =>
      stripe ? [["Payments", `${stripe}, webhooks ${publicUrl}/webhooks/stripe`]] : [],
    schedules: [RECONCILE],
    hears: [onMany(OrderPaid, onOrderPaid), onMany(OrderCancelled, onOrderCancelled)],
    does: [
      effect(ReadWebhook, { perform: readWebhook, settle: keepEvent, retry: HARMLESS_TO_REPEAT }),
      does(ApplyProviderEvent, applyProviderEvent),
      does(RefundRemainder, refundRemainder),
      effect(RequestRefund, {
        perform: requestRefund,
        settle: settleRequestedRefund,
        fail: failRefund,
        retry: HARMLESS_TO_REPEAT,
      }),
      effect(CloseCheckout, { perform: closeCheckout, settle: settleClosing, retry: HARMLESS_TO_REPEAT }),
      effect(DeliverWebhook, { perform: deliverWebhook, settle: () => {}, retry: HARMLESS_TO_REPEAT }),
    ],
  });
