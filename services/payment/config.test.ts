import { expect, test } from "bun:test";
import type { App } from "../../packages/service/app.ts";
import { type PaymentConfig, readConfig } from "./config.ts";

const KEY = "sk_test_51abc";
const SECRET = "whsec_abc";
const STRIPE = { STRIPE_SECRET_KEY: KEY, STRIPE_WEBHOOK_SECRET: SECRET };
// Neither provider asks anything of the service before its first payment.
const providerFor = (env: Record<string, string>) => readConfig(env).provider({} as App<PaymentConfig>).name;

test("Stripe takes the payments when its key and its secret are there, else the embedded provider", () => {
  expect(providerFor({})).toBe("embedded");
  expect(providerFor({ STRIPE_SECRET_KEY: "", STRIPE_WEBHOOK_SECRET: "", STRIPE_API_BASE: "" })).toBe("embedded");
  expect(providerFor(STRIPE)).toBe("stripe");
  expect(providerFor({ ...STRIPE, STRIPE_SECRET_KEY: "rk_live_1", STRIPE_WEBHOOK_SECRET: "whsec_a, whsec_b" })).toBe(
    "stripe",
  );
  expect(providerFor({ ...STRIPE, STRIPE_API_BASE: "http://127.0.0.1:12111", TIME_SCALE: "3600" })).toBe("stripe");
  expect(providerFor({ ...STRIPE, PAYMENT_PROVIDER: "stripe", PUBLIC_URL: "https://shop.test" })).toBe("stripe");
});

test.each([
  ["the secret alone", { STRIPE_WEBHOOK_SECRET: SECRET }, "STRIPE_SECRET_KEY is not set"],
  ["the key alone", { STRIPE_SECRET_KEY: KEY }, "STRIPE_WEBHOOK_SECRET is not set"],
  ["a fake alone", { STRIPE_API_BASE: "http://127.0.0.1:1" }, "STRIPE_SECRET_KEY is not set"],
  ["a publishable key", { ...STRIPE, STRIPE_SECRET_KEY: "pk_test_1" }, "must begin with sk_ or rk_"],
  ["a secret of another kind", { ...STRIPE, STRIPE_WEBHOOK_SECRET: `${SECRET},${KEY}` }, "must begin with whsec_"],
  ["a fake with a path", { ...STRIPE, STRIPE_API_BASE: "http://127.0.0.1:1/v1" }, "STRIPE_API_BASE"],
  [
    "a live key for a fake",
    { ...STRIPE, STRIPE_SECRET_KEY: "sk_live_1", STRIPE_API_BASE: "http://127.0.0.1:1" },
    "live key",
  ],
  ["a live key in scaled time", { ...STRIPE, STRIPE_SECRET_KEY: "sk_live_1", TIME_SCALE: "60" }, "TIME_SCALE=1"],
  ["two providers", { ...STRIPE, PAYMENT_PROVIDER: "embedded" }, "PAYMENT_PROVIDER is embedded"],
  ["a provider without its key", { PAYMENT_PROVIDER: "stripe" }, "STRIPE_SECRET_KEY is not set"],
  ["a provider nobody knows", { PAYMENT_PROVIDER: "paypal" }, "must be embedded or stripe"],
])("%s does not start, and the message names what is wrong", (_, env, says) => {
  expect(() => readConfig(env)).toThrow(says);
});

test("no message shows a key or a secret", () => {
  for (const env of [
    { ...STRIPE, STRIPE_SECRET_KEY: "pk_test_hidden" },
    { ...STRIPE, STRIPE_WEBHOOK_SECRET: "hidden" },
    { ...STRIPE, STRIPE_SECRET_KEY: "sk_live_hidden", TIME_SCALE: "2" },
  ])
    expect(() => readConfig(env)).toThrow(/^(?!.*hidden)/);
});
