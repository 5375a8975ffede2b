import { createHmac, timingSafeEqual } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { DeliverWebhook } from "../../../packages/api/jobs.ts";
import type { Sql } from "../../../packages/database/database.ts";
import type { App } from "../../../packages/service/app.ts";
import { refused } from "../../../packages/service/errors.ts";
import { isUuid } from "../../../packages/time/ids.ts";
import { type Outcome, type PaymentProvider, type ProviderEvent, SIGNATURE_WINDOW_MS } from "./provider.ts";

/** What it needs of the payment service's configuration. */
export interface EmbeddedConfig {
  /** The edge as customers see it, without a slash at the end: http://127.0.0.1:8080. */
  publicUrl: string;
  /** Signs its webhooks; unset: one is made once and kept in the database. */
  webhookSecret?: string;
}

type EmbeddedApp = App<EmbeddedConfig>;

const SIGNATURE_HEADER = "bodega-signature";
const SECRET_BYTES = 32;

/** A payment provider in the service's own database: its ledger, its pay page (routes.ts) and its webhooks, but no real money. */
export function createEmbeddedProvider(app: EmbeddedApp): PaymentProvider {
  return {
    name: "embedded",
    async createCheckout({ paymentId, orderId, amount: { currencyCode, minorUnits } }) {
      await app.sql`
        insert into provider_checkouts (payment_id, provider_reference, order_id, currency_code, amount_minor_units, created_at)
        values (${paymentId}, ${`checkout_${paymentId}`}, ${orderId}, ${currencyCode}, ${minorUnits}, ${app.clock.now()}) on conflict do nothing`;
      const found = await findCheckout(app, paymentId);
      if (found?.currency_code !== currencyCode || found.amount_minor_units !== minorUnits) {
        throw new Error(
          `checkout ${paymentId} was opened for ${found?.amount_minor_units} ${found?.currency_code}, not for ${minorUnits} ${currencyCode}`,
        );
      }
      return { providerReference: found.provider_reference, checkoutUrl: `${app.config.publicUrl}/pay/${paymentId}` };
    },
    async refund({ refundId, providerReference, amount }) {
      await app.transact(async ({ sql }) => {
        const [checkout] = await sql<
          EmbeddedCheckout[]
        >`select * from provider_checkouts where provider_reference = ${providerReference} for update`;
        const given = await sql<{ refund_id: string; amount_minor_units: bigint }[]>`
          select refund_id, amount_minor_units from provider_refunds where provider_reference = ${providerReference}`;
        const same = given.find(({ refund_id }) => refund_id === refundId);
        if (same?.amount_minor_units === amount.minorUnits) return;
        if (same)
          throw refused(
            Code.AlreadyExists,
            "REFUND_OTHER_AMOUNT",
            `refund ${refundId} was for ${same.amount_minor_units}, not ${amount.minorUnits}`,
          );
        const left =
          (checkout?.amount_minor_units ?? 0n) - given.reduce((sum, each) => sum + each.amount_minor_units, 0n);
        if (
          checkout?.outcome !== "captured" ||
          checkout.currency_code !== amount.currencyCode ||
          amount.minorUnits > left
        )
          throw refused(
            Code.FailedPrecondition,
            "NOTHING_TO_REFUND",
            `${providerReference} has ${left} ${checkout?.currency_code} to give back (${checkout?.outcome}), not ${amount.minorUnits} ${amount.currencyCode}`,
          );
        await sql`insert into provider_refunds (refund_id, provider_reference, amount_minor_units, created_at)
          values (${refundId}, ${providerReference}, ${amount.minorUnits}, ${app.clock.now()})`;
      });
    },
    async closeCheckout(reference) {
      const [closed] = await app.sql`
        update provider_checkouts set closed_at = coalesce(closed_at, ${app.clock.now()})
        where provider_reference = ${reference} and outcome is distinct from 'captured' returning payment_id`;
      return closed ? "closed" : "decided";
    },
    verifyWebhook: async (rawBody, headers) =>
      verifySignature(rawBody, headers.get(SIGNATURE_HEADER), await secretOf(app), app),
    readEvent: async (rawBody) => readEvent(rawBody),
    statement: (ms) => statement(app, app.clock.soon(-ms)),
  };
}

export interface EmbeddedCheckout {
  payment_id: string;
  provider_reference: string;
  order_id: string;
  currency_code: string;
  amount_minor_units: bigint;
  outcome: Outcome | null;
  closed_at: Date | null;
}

export async function findCheckout(
  app: EmbeddedApp,
  paymentId: string,
  sql: Sql = app.sql,
): Promise<EmbeddedCheckout | undefined> {
  const [row] = await sql<EmbeddedCheckout[]>`select * from provider_checkouts where payment_id = ${paymentId}`;
  return row;
}

/** The customer decides. Captured money stays captured; anything else may still change, as with a second card. The same decision twice is told once. */
export async function decideCheckout(
  app: EmbeddedApp,
  paymentId: string,
  kind: Outcome,
): Promise<EmbeddedCheckout | undefined> {
  return app.transact(async (tx) => {
    const [decided] = await tx.sql<EmbeddedCheckout[]>`
      update provider_checkouts set outcome = ${kind}, decided_at = ${app.clock.now()}
      where payment_id = ${paymentId} and outcome is distinct from 'captured' and outcome is distinct from ${kind} returning *`;
    if (!decided) return findCheckout(app, paymentId, tx.sql);
    const eventId = `event_${app.random.id()}`;
    tx.enqueue(DeliverWebhook, { eventId, paymentId, body: JSON.stringify(eventBody(eventId, decided, kind)) });
    return decided;
  });
}

interface EventBody {
  id: string;
  type: string;
  data: {
    payment_id: string;
    provider_reference: string;
    order_id: string;
    currency_code: string;
    minor_units: string;
    reason: string;
  };
}

function eventBody(id: string, checkout: EmbeddedCheckout, kind: Outcome): EventBody {
  const { payment_id, provider_reference, order_id, currency_code, amount_minor_units } = checkout;
  const reason = kind === "declined" ? "the card was declined" : "";
  return {
    id,
    type: `checkout.${kind}`,
    data: { payment_id, provider_reference, order_id, currency_code, minor_units: String(amount_minor_units), reason },
  };
}

/** The headers of a webhook, signed as of now. */
export async function signedHeaders(app: EmbeddedApp, body: string): Promise<Record<string, string>> {
  const seconds = String(Math.floor(app.clock.now().getTime() / 1_000));
  const signature = signatureOf(await secretOf(app), seconds, Buffer.from(body));
  return { "content-type": "application/json", [SIGNATURE_HEADER]: `t=${seconds},v1=${signature.toString("hex")}` };
}

function signatureOf(secret: string, seconds: string, rawBody: Uint8Array): Buffer {
  return createHmac("sha256", secret).update(`${seconds}.`).update(rawBody).digest();
}

const SIGNATURE = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

function verifySignature(rawBody: Uint8Array, header: string | null, secret: string, app: App): void {
  const [, seconds = "", signature = ""] = SIGNATURE.exec(header ?? "") ?? [];
  const expected = signatureOf(secret, seconds, rawBody);
  const found = Buffer.from(signature.padEnd(64, "0"), "hex");
  if (!signature || !timingSafeEqual(expected, found))
    throw refused(Code.InvalidArgument, "BAD_SIGNATURE", `the ${SIGNATURE_HEADER} header does not sign this body`);
  // The window is of machine time: a scaled business clock stretches it.
  const now = app.clock.now().getTime();
  const windowMs = app.clock.soon(SIGNATURE_WINDOW_MS).getTime() - now;
  if (Math.abs(now - Number(seconds) * 1_000) > windowMs)
    throw refused(
      Code.InvalidArgument,
      "STALE_SIGNATURE",
      `the webhook was signed at ${seconds}, more than ${SIGNATURE_WINDOW_MS / 1_000} s from now`,
    );
}

function readEvent(rawBody: Uint8Array): ProviderEvent | null {
  const { id, type, data } = parsed(rawBody);
  const kind = /^checkout\.(\w+)$/.exec(String(type))?.[1];
  if (kind !== "captured" && kind !== "declined" && kind !== "abandoned") return null;
  const { payment_id, provider_reference, currency_code, minor_units, reason } = data ?? {};
  if (typeof id !== "string" || !/^[\w-]{1,255}$/.test(id)) throw malformed("id is not 1 to 255 word characters");
  if (typeof payment_id !== "string" || !isUuid(payment_id)) throw malformed("data.payment_id is not a UUID");
  if (typeof provider_reference !== "string" || !/^[\w-]{1,255}$/.test(provider_reference))
    throw malformed("data.provider_reference is not 1 to 255 word characters");
  if (typeof currency_code !== "string" || !/^[A-Z]{3}$/.test(currency_code))
    throw malformed("data.currency_code is not three capitals");
  if (typeof minor_units !== "string" || !/^\d{1,18}$/.test(minor_units))
    throw malformed("data.minor_units is not a decimal number of up to 18 digits");
  return {
    eventId: id,
    kind,
    paymentId: payment_id,
    providerReference: provider_reference,
    refundId: null,
    amount: { currencyCode: currency_code, minorUnits: BigInt(minor_units) },
    reason: String(reason ?? "").slice(0, 255),
  };
}

function parsed(rawBody: Uint8Array): { id?: unknown; type?: unknown; data?: Record<string, unknown> | null } {
  try {
    const value: unknown = JSON.parse(Buffer.from(rawBody).toString());
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw malformed(String(error));
  }
  throw malformed("it is not an object");
}

function malformed(why: string) {
  return refused(Code.InvalidArgument, "MALFORMED_EVENT", `the event cannot be read: ${why}`);
}

interface Entry {
  kind: ProviderEvent["kind"];
  payment_id: string;
  reference: string;
  refund_id: string | null;
  currency_code: string;
  amount_minor_units: bigint;
}

async function* statement(app: EmbeddedApp, since: Date): AsyncGenerator<ProviderEvent> {
  const entries = await app.sql<Entry[]>`
    select outcome as kind, payment_id, provider_reference as reference, null::uuid as refund_id, currency_code, amount_minor_units
    from provider_checkouts where created_at >= ${since} and outcome is not null
    union all
    select 'refunded', c.payment_id, r.refund_id::text, r.refund_id, c.currency_code, r.amount_minor_units
    from provider_refunds r join provider_checkouts c using (provider_reference) where r.created_at >= ${since}`;
  for (const { kind, payment_id, reference, refund_id, currency_code, amount_minor_units } of entries)
    yield {
      eventId: `statement_${kind}_${reference}`,
      kind,
      paymentId: payment_id,
      providerReference: reference,
      refundId: refund_id,
      amount: { currencyCode: currency_code, minorUnits: amount_minor_units },
      reason: "",
    };
}

async function secretOf(app: EmbeddedApp): Promise<string> {
  if (app.config.webhookSecret) return app.config.webhookSecret;
  const [kept] = await app.sql<{ secret: string }[]>`select secret from provider_secrets`;
  if (kept) return kept.secret;
  const made = Buffer.from(app.random.bytes(SECRET_BYTES)).toString("base64url");
  await app.sql`insert into provider_secrets (secret) values (${made}) on conflict do nothing`;
  return secretOf(app);
}
