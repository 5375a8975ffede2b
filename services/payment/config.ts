import type { App } from "../../packages/service/app.ts";
import { createEmbeddedProvider } from "./embedded.ts";
import type { PaymentProvider } from "./provider.ts";

export interface PaymentConfig {
  /** The edge as customers see it, without a slash at the end: http://127.0.0.1:8080. */
  publicUrl: string;
  provider: (app: App<PaymentConfig>) => PaymentProvider;
  /** Signs the embedded provider's webhooks; unset: one is made once and kept in the database. */
  webhookSecret?: string;
  /** Carries a webhook of the embedded provider to POST /webhooks/embedded of the edge, within 10 s; unset: to the same handler, in this process. */
  deliver?: (body: string, headers: Record<string, string>) => Promise<Response>;
}

const SECRET_CHARS_MIN = 32;
const PORT = "8080";

export function readConfig(env: Record<string, string | undefined>): PaymentConfig {
  for (const name of ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE"]) {
    if (env[name])
      throw new Error(`${name} is set, but this version takes payments only through its embedded provider: unset it`);
  }
  const publicUrl = env["PUBLIC_URL"] ?? `http://127.0.0.1:${env["PORT"] ?? PORT}`;
  if (!URL.canParse(publicUrl) || !/^https?:\/\/[^?#]*[^/?#]$/.test(publicUrl)) {
    throw new Error(`PUBLIC_URL is ${publicUrl}: expected an http or https URL without a slash at its end`);
  }
  const webhookSecret = env["EMBEDDED_WEBHOOK_SECRET"];
  if (webhookSecret !== undefined && webhookSecret.length < SECRET_CHARS_MIN) {
    throw new Error(
      `EMBEDDED_WEBHOOK_SECRET has ${webhookSecret.length} characters: expected at least ${SECRET_CHARS_MIN}`,
    );
  }
  return { publicUrl, provider: createEmbeddedProvider, ...(webhookSecret !== undefined && { webhookSecret }) };
}
