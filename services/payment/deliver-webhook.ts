import { Code } from "@connectrpc/connect";
import type { Envelope } from "../../packages/api/envelope.ts";
import type { DeliverWebhook } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import { contextHeaders, currentContext } from "../../packages/telemetry/context.ts";
import type { PaymentConfig } from "./config.ts";
import { signedHeaders } from "./provider/embedded.ts";
import { paymentRoutes } from "./routes.ts";

/** Tells the platform through its public webhook, as a provider would: until it is heard. */
export async function deliverWebhook(app: App<PaymentConfig>, message: Envelope<DeliverWebhook>): Promise<void> {
  const { eventId, body } = message.body;
  const headers = { ...contextHeaders(currentContext()), ...(await signedHeaders(app, body)) };
  const deliver =
    app.config.deliver ??
    (async () => paymentRoutes(app).request("/webhooks/embedded", { method: "POST", body, headers }));
  const { heard, answer } = await deliver(body, headers).then(
    ({ ok, status }) => ({ heard: ok, answer: `answered ${status}` }),
    (error: unknown) => ({ heard: false, answer: `could not be reached: ${String(error)}` }),
  );
  if (!heard) throw refused(Code.Unavailable, "WEBHOOK_UNHEARD", `webhook ${eventId} was not heard: ${answer}`);
}
