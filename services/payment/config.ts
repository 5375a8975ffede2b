import { Code } from "@connectrpc/connect";
import type { App } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import { exposedBy } from "../../packages/service/exposure.ts";
import {
  type Environment,
  readBaseUrl,
  readPort,
  readSecret,
  withoutCredentials,
} from "../../packages/service/variables.ts";
import { systemClock } from "../../packages/time/clock.ts";
import { createEmbeddedProvider, type EmbeddedConfig } from "./provider/embedded.ts";
import type { PaymentProvider } from "./provider/provider.ts";
import { createStripeProvider } from "./provider/stripe.ts";

export interface PaymentConfig extends EmbeddedConfig {
  provider: (app: App<PaymentConfig>) => PaymentProvider;
  /** Said at the start when it takes the payments: Stripe in test mode. */
  stripe?: string;
  /** Carries a webhook of the embedded provider to POST /webhooks/embedded of the edge, within 10 s; unset: to the same handler, in this process. */
  deliver?: (body: string, headers: Record<string, string>) => Promise<Response>;
}

/** The provider that took a payment, which is the one in use unless that was changed since. */
export function providerOf(app: App<PaymentConfig>, name: string): PaymentProvider {
  const provider = app.config.provider(app);
  if (provider.name === name) return provider;
  throw refused(
    Code.FailedPrecondition,
    "PROVIDER_NOT_IN_USE",
    `this is for the provider ${name}, and ${provider.name} is in use: start Bodega with ${name} to let it through`,
  );
}

const PORT = 8080;

export function readConfig(env: Environment): PaymentConfig {
  const publicUrl = readBaseUrl(env, "PUBLIC_URL", `http://127.0.0.1:${readPort(env, "PORT", PORT)}`);
  const stripe = readStripe(env, publicUrl);
  const wanted = env["PAYMENT_PROVIDER"] || undefined;
  const found = stripe ? "stripe" : "embedded";
  if (wanted !== undefined && wanted !== "embedded" && wanted !== "stripe")
    throw new Error(`PAYMENT_PROVIDER must be embedded or stripe, found ${wanted}`);
  if (wanted !== undefined && wanted !== found)
    throw new Error(`PAYMENT_PROVIDER is ${wanted}, but STRIPE_SECRET_KEY is ${stripe ? "" : "not "}set`);
  if (stripe) return { publicUrl, ...stripe };
  const exposed = exposedBy(env);
  if (!wanted && exposed)
    throw new Error(
      `${exposed} opens the shop to strangers, and with the embedded payment provider they mark their own orders paid: set STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET, or say PAYMENT_PROVIDER=embedded if that is meant`,
    );
  const webhookSecret = readSecret(env, "EMBEDDED_WEBHOOK_SECRET");
  return { publicUrl, provider: createEmbeddedProvider, ...(webhookSecret && { webhookSecret }) };
}

const NEEDS = "Stripe needs STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET";

/** Stripe when it is configured, and wholly so: with half of it no payment could ever be taken. */
function readStripe(env: Environment, publicUrl: string): Pick<PaymentConfig, "provider" | "stripe"> | undefined {
  const secretKey = env["STRIPE_SECRET_KEY"];
  const webhookSecret = env["STRIPE_WEBHOOK_SECRET"];
  const apiBase = withoutCredentials("STRIPE_API_BASE", env["STRIPE_API_BASE"] ?? "");
  if (!secretKey && !webhookSecret && !apiBase) return undefined;
  if (!secretKey) throw new Error(`${NEEDS}: STRIPE_SECRET_KEY is not set`);
  if (!webhookSecret) throw new Error(`${NEEDS}: STRIPE_WEBHOOK_SECRET is not set`);
  if (!/^[sr]k_/.test(secretKey))
    throw new Error("STRIPE_SECRET_KEY must begin with sk_ or rk_: a secret or a restricted key of Stripe");
  const webhookSecrets = webhookSecret.split(",").map((secret) => secret.trim());
  if (!webhookSecrets.every((secret) => secret.startsWith("whsec_")))
    throw new Error("STRIPE_WEBHOOK_SECRET must begin with whsec_, each of several by comma");
  if (apiBase && !(URL.canParse(apiBase) && /^https?:\/\/[^/?#@]+$/.test(apiBase)))
    throw new Error(`STRIPE_API_BASE must be of the form http://host:port, found ${apiBase}`);
  const live = /^[sr]k_live_/.test(secretKey);
  if (live) refuseForLive(env, apiBase);
  const clock = systemClock();
  const provider = createStripeProvider({ secretKey, webhookSecrets, publicUrl, clock, ...(apiBase && { apiBase }) });
  return { provider: () => provider, stripe: live ? "Stripe" : "Stripe in test mode" };
}

/** Real money. */
function refuseForLive(env: Environment, apiBase: string | undefined): void {
  if (apiBase && new URL(apiBase).hostname !== "api.stripe.com")
    throw new Error(`STRIPE_SECRET_KEY is a live key, which is not for ${apiBase}: unset STRIPE_API_BASE`);
  if (env["TIME_SCALE"] && Number(env["TIME_SCALE"]) !== 1)
    throw new Error("STRIPE_SECRET_KEY is a live key: real customers need TIME_SCALE=1");
}
