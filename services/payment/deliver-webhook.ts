import type { DeliverWebhook } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import { DeliverWebhook as DeliverWebhookJob } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { contextHeaders, currentContext } from "../../packages/telemetry/context.ts";
import type { PaymentConfig } from "./config.ts";
import { signedHeaders } from "./embedded.ts";
import { paymentRoutes } from "./routes.ts";

/** As a provider would: for about half a day, then a person must look. */
const ATTEMPTS_MAX = 20;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 3_600_000;

/** Tells the platform through its public webhook; true when it was heard. */
export async function deliverWebhook(
  app: App<PaymentConfig>,
  { eventId, body, attempts }: DeliverWebhook,
): Promise<boolean> {
  const headers = { ...contextHeaders(currentContext()), ...(await signedHeaders(app, body)) };
  const deliver =
    app.config.deliver ??
    (async () => paymentRoutes(app).request("/webhooks/embedded", { method: "POST", body, headers }));
  const { heard, answer } = await deliver(body, headers).then(
    ({ ok, status }) => ({ heard: ok, answer: `answered ${status}` }),
    (error: unknown) => ({ heard: false, answer: `could not be reached: ${String(error)}` }),
  );
  if (heard) return true;
  if (attempts + 1 >= ATTEMPTS_MAX)
    throw new Error(`webhook ${eventId} was not heard in ${ATTEMPTS_MAX} attempts; the last ${answer}`);
  app.log.warn("webhook.undelivered", { event_id: eventId, attempts: attempts + 1, answer });
  return false;
}

export function settleDelivery(app: App<PaymentConfig>, tx: Tx, webhook: DeliverWebhook, heard: boolean): void {
  if (heard) return;
  const { eventId, paymentId, body, attempts } = webhook;
  const waitMs = Math.min(RETRY_MS_MIN * 2 ** attempts, RETRY_MS_MAX);
  tx.enqueue(DeliverWebhookJob, { eventId, paymentId, body, attempts: attempts + 1 }, { at: app.clock.soon(waitMs) });
}
