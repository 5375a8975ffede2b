import { Code, ConnectError } from "@connectrpc/connect";
import Stripe from "stripe";
import { refused } from "../../../packages/service/errors.ts";
import type { Clock } from "../../../packages/time/clock.ts";
import { within } from "../../../packages/time/wait.ts";
import { type PaymentProvider, type ProviderEvent, SIGNATURE_WINDOW_MS } from "./provider.ts";
import { toStripe } from "./stripe-amount.ts";
import { readCheckout, readDispute, readRefund, readStripeEvent } from "./stripe-event.ts";

export interface StripeOptions {
  secretKey: string;
  /** Several while one takes the place of another. */
  webhookSecrets: string[];
  /** Another Stripe, such as a fake: http://127.0.0.1:12111. */
  apiBase?: string;
  /** Where customers come back to: its /pay/{payment_id}. */
  publicUrl: string;
  /** Stripe's own time is real time, whatever business time does. */
  clock: Clock;
}

/** Three calls, as a refund needs, end before the lease of the effect that makes them. */
const DEADLINE_MS = 3_500;
const PAGE_SIZE = 100;
/** Keys for one thing. A 500 spends one: Stripe repeats it under that key for a day. */
const KEYS_MAX = 20;
const SIGNATURE_HEADER = "stripe-signature";

/** Stripe Checkout. Every call is made under a key of ours, so one that is repeated has one effect. */
export function createStripeProvider(options: StripeOptions): PaymentProvider {
  const { publicUrl, clock } = options;
  const stripe = clientOf(options);
  const { sessions } = stripe.checkout;
  return {
    name: "stripe",
    async createCheckout({ paymentId, orderId, amount }) {
      const { currency, units } = toStripe(amount);
      const metadata = { payment_id: paymentId, order_id: orderId };
      const back = `${publicUrl}/pay/${paymentId}`;
      const params: Stripe.Checkout.SessionCreateParams = {
        mode: "payment",
        client_reference_id: paymentId,
        line_items: [
          {
            quantity: 1,
            price_data: { currency, unit_amount: units, product_data: { name: `Order ${orderId}` } },
          },
        ],
        metadata,
        // What happens to the money later names its payment by this.
        payment_intent_data: { metadata },
        success_url: back,
        cancel_url: back,
      };
      const { id, url } = await underKeys(`checkout_${paymentId}`, (key) =>
        asked("open a checkout", () => sessions.create(params, key)),
      );
      if (!url) throw new Error(`Stripe opened the checkout ${id} without a page`);
      return { providerReference: id, checkoutUrl: url };
    },
    async closeCheckout(reference) {
      const closing = await asked("close a checkout", () => sessions.expire(reference)).catch((error: unknown) => {
        // It is not open any more, or was never there: the next call tells which.
        if (error instanceof ConnectError && error.code === Code.FailedPrecondition) return null;
        throw error;
      });
      const { status } = closing ?? (await asked("show a checkout", () => sessions.retrieve(reference)));
      if (status === "open") throw new Error(`Stripe neither closed the checkout ${reference} nor says why`);
      return status === "expired" ? "closed" : "decided";
    },
    async refund({ refundId, paymentId, providerReference, amount }) {
      const { payment_intent, payment_status } = await asked("show a checkout", () =>
        sessions.retrieve(providerReference),
      );
      if (payment_status !== "paid" || !payment_intent)
        throw nothingToRefund(`checkout ${providerReference} is ${payment_status}`);
      const intent = typeof payment_intent === "string" ? payment_intent : payment_intent.id;
      const { units } = toStripe(amount);
      const params = {
        payment_intent: intent,
        amount: units,
        metadata: { payment_id: paymentId, refund_id: refundId },
      };
      const made = await underKeys(
        `refund_${refundId}`,
        (key) => asked("refund", () => stripe.refunds.create(params, key)),
        // A key is forgotten after a day, and a refund may be asked for again after a week: look before paying.
        () => findRefund(stripe, intent, refundId),
      );
      if (made.amount !== units)
        throw refused(
          Code.AlreadyExists,
          "REFUND_OTHER_AMOUNT",
          `refund ${refundId} was for ${made.amount}, not ${units}, in Stripe's count of ${amount.currencyCode}`,
        );
    },
    verifyWebhook: (rawBody, headers) =>
      verify(stripe, options, rawBody, headers.get(SIGNATURE_HEADER) ?? "", clock.now().getTime()),
    readEvent: (rawBody) =>
      readStripeEvent(rawBody, async (intent) => {
        const { metadata } = await asked("show a payment", () => stripe.paymentIntents.retrieve(intent));
        return metadata["payment_id"];
      }),
    async *statement(ms) {
      const created = { gte: Math.floor((clock.now().getTime() - ms) / 1_000) };
      const page = { created, limit: PAGE_SIZE };
      const expand = ["data.payment_intent"];
      for await (const session of pages((after) => sessions.list({ ...page, ...after })))
        yield* entries(readCheckout("", session));
      for await (const refund of pages((after) => stripe.refunds.list({ ...page, expand, ...after })))
        yield* entries(readRefund("", refund, paymentIdOf(refund.payment_intent)));
      for await (const dispute of pages((after) => stripe.disputes.list({ ...page, expand, ...after })))
        yield* entries(readDispute("", dispute, paymentIdOf(dispute.payment_intent)));
    },
  };
}

function clientOf({ secretKey, apiBase }: StripeOptions): Stripe {
  const { protocol, hostname, port } = new URL(apiBase ?? "https://api.stripe.com");
  return new Stripe(secretKey, {
    protocol: protocol === "http:" ? "http" : "https",
    host: hostname,
    port: port || (protocol === "http:" ? 80 : 443),
    timeout: DEADLINE_MS,
    maxNetworkRetries: 1,
    telemetry: false,
    appInfo: { name: "bodega" },
  });
}

/** Our own deadline around the library's, and Stripe's answers in our words. */
function asked<T>(what: string, call: () => Promise<T>): Promise<T> {
  return within(DEADLINE_MS, `Stripe did not ${what}`, call).catch((error: unknown) => {
    throw answerOf(what, error);
  });
}

/** A refusal is final; of everything else nobody knows whether it happened. */
function answerOf(what: string, error: unknown): ConnectError {
  const { StripeError, StripeIdempotencyError } = Stripe.errors;
  if (!(error instanceof StripeError) || !error.statusCode)
    return unknown("PROVIDER_UNAVAILABLE", `Stripe could not be asked to ${what}: whether it did is not known`, error);
  const { statusCode, message, code, param } = error;
  const told = `Stripe was asked to ${what} and answered ${statusCode}: ${message}`;
  if (error instanceof StripeIdempotencyError) return refused(Code.AlreadyExists, "PROVIDER_OTHER_REQUEST", told);
  if (statusCode === 401 || statusCode === 403) return unknown("PROVIDER_REFUSES_KEY", told, error);
  if (statusCode === 409 || statusCode === 429 || statusCode >= 500)
    return unknown("PROVIDER_UNAVAILABLE", told, error);
  if (what === "refund" && (code === "charge_already_refunded" || param === "amount")) return nothingToRefund(told);
  return refused(Code.FailedPrecondition, "PROVIDER_REFUSED", told);
}

function unknown(reason: string, message: string, cause: unknown): ConnectError {
  const error = refused(Code.Unavailable, reason, message);
  error.cause = cause;
  return error;
}

function nothingToRefund(message: string): ConnectError {
  return refused(Code.FailedPrecondition, "NOTHING_TO_REFUND", message);
}

/**
 * Done already, or done under the first of its keys that is not spent. One call spends two at most, so that of a Stripe that is out of order for a while some are left
 * when it is not any more.
 */
async function underKeys<T>(
  key: string,
  make: (options: { idempotencyKey: string; maxNetworkRetries: 0 }) => Promise<T>,
  find: () => Promise<T | undefined> = async () => undefined,
): Promise<T> {
  let forgiven = false;
  for (let number = 1; ; number++) {
    const found = await find();
    if (found) return found;
    const idempotencyKey = number === 1 ? key : `${key}_${number}`;
    // Again under the same key Stripe would only repeat itself; a connection that was closed the library tries again all the same.
    const made = await make({ idempotencyKey, maxNetworkRetries: 0 }).catch((error: unknown) => {
      const fault = faultIn(error);
      if (!fault || number === KEYS_MAX || (fault === "new" && forgiven)) throw error;
      forgiven ||= fault === "new";
      return undefined;
    });
    if (made) return made;
  }
}

/** A fault of Stripe's: the request has ended, so a look now shows all that it did. */
function faultIn(error: unknown): "new" | "repeated" | undefined {
  const cause = error instanceof ConnectError ? error.cause : undefined;
  if (!(cause instanceof Stripe.errors.StripeError) || (cause.statusCode ?? 0) < 500) return undefined;
  return cause.headers?.["idempotent-replayed"] === "true" ? "repeated" : "new";
}

async function findRefund(stripe: Stripe, intent: string, refundId: string): Promise<Stripe.Refund | undefined> {
  const list = { payment_intent: intent, limit: PAGE_SIZE };
  for await (const refund of pages((after) => stripe.refunds.list({ ...list, ...after })))
    if (refund.metadata?.["refund_id"] === refundId) return refund;
  return undefined;
}

/** All of a list; each page has a deadline of its own. */
async function* pages<T extends { id: string }>(
  list: (after: { starting_after?: string }) => Promise<{ data: T[]; has_more: boolean }>,
): AsyncGenerator<T> {
  let after: { starting_after?: string } = {};
  for (;;) {
    const { data, has_more } = await asked("list", () => list(after));
    yield* data;
    const last = data.at(-1);
    if (!has_more || !last) return;
    after = { starting_after: last.id };
  }
}

function paymentIdOf(intent: string | Stripe.PaymentIntent | null): string | undefined {
  return typeof intent === "object" ? intent?.metadata["payment_id"] : undefined;
}

/** One thing may become another later: each has an id of its own. */
function entries(events: ProviderEvent[]): ProviderEvent[] {
  return events.map((event) => ({ ...event, eventId: `statement_${event.kind}_${event.providerReference}` }));
}

/** The half of constructEventAsync that comes before the body is parsed: what is genuine is kept before anybody tries to understand it. */
async function verify(
  stripe: Stripe,
  { webhookSecrets }: StripeOptions,
  body: Uint8Array,
  header: string,
  now: number,
) {
  const text = textOf(body);
  const { signature } = stripe.webhooks;
  if (!signature) throw new Error("the stripe library came without its check of signatures");
  const genuine = webhookSecrets.map((secret) =>
    signature.verifyHeaderAsync(text ?? "", header, secret, 0).catch((error: unknown) => {
      if (error instanceof Stripe.errors.StripeSignatureVerificationError) return false;
      throw error;
    }),
  );
  const [, signedAt] = /^t=(\d{1,12}),(?!.*\bt=)/.exec(header) ?? [];
  if (text === undefined || !signedAt || !(await Promise.all(genuine)).includes(true))
    throw refused(Code.InvalidArgument, "BAD_SIGNATURE", `the ${SIGNATURE_HEADER} header does not sign this body`);
  // The library lets signatures of the future pass.
  if (Math.abs(now - Number(signedAt) * 1_000) > SIGNATURE_WINDOW_MS)
    throw refused(
      Code.InvalidArgument,
      "STALE_SIGNATURE",
      `the webhook was signed at ${signedAt}, more than ${SIGNATURE_WINDOW_MS / 1_000} s from now`,
    );
}

/** Undefined unless it is UTF-8. The library would replace what is not, and so take other bytes than were signed. */
function textOf(body: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined; // Stripe signs no such bytes.
  }
}
