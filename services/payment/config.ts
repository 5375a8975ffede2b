import type { App } from "../../packages/service/app.ts";
import { readPort, readSecret } from "../../packages/service/variables.ts";
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

const PORT = 8080;

export function readConfig(env: Record<string, string | undefined>): PaymentConfig {
  for (const name of ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE"]) {
    if (env[name])
      throw new Error(`${name} is set, but this version takes payments only through its embedded provider: unset it`);
  }
  const publicUrl = env["PUBLIC_URL"] || `http://127.0.0.1:${readPort(env, "PORT", PORT)}`;
  if (!URL.canParse(publicUrl) || !/^https?:\/\/[^?#]*[^/?#]$/.test(publicUrl)) {
    throw new Error(`PUBLIC_URL must be an http or https URL without a slash at its end, found ${publicUrl}`);
  }
  const webhookSecret = readSecret(env, "EMBEDDED_WEBHOOK_SECRET");
  return { publicUrl, provider: createEmbeddedProvider, ...(webhookSecret && { webhookSecret }) };
}
