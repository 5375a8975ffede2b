import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Envelope } from "../../packages/api/envelope.ts";
import type { ReadWebhook } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import { ApplyProviderEvent } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { type PaymentConfig, providerOf } from "./config.ts";
import type { ProviderEvent } from "./provider/provider.ts";
import { insertEvent } from "./store.ts";

/** Understands what was kept; what nobody can understand is parked, with its bytes. */
export async function readWebhook(
  app: App<PaymentConfig>,
  { body: webhook }: Envelope<ReadWebhook>,
): Promise<ProviderEvent | null> {
  return providerOf(app, webhook.provider).readEvent(webhook.body);
}

/** One event is acted on once, however often it was delivered. */
export async function keepEvent(
  app: App<PaymentConfig>,
  { body: webhook, tx }: Message<ReadWebhook>,
  event: ProviderEvent | null,
): Promise<void> {
  if (!event) return;
  const { provider, body, receivedAt } = webhook;
  const { eventId, paymentId, kind } = event;
  const at = receivedAt ? timestampDate(receivedAt) : app.clock.now();
  const fresh = await insertEvent(tx.sql, provider, event, body, at);
  if (fresh) tx.enqueue(ApplyProviderEvent, { provider, eventId, paymentId });
  app.log.info("webhook.read", { event_id: eventId, kind, payment_id: paymentId, duplicate: !fresh });
}
