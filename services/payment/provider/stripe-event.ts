import { Code } from "@connectrpc/connect";
import { refused } from "../../../packages/service/errors.ts";
import { isUuid } from "../../../packages/time/ids.ts";
import type { Movement, Outcome, ProviderEvent } from "./provider.ts";
import { fromStripe } from "./stripe-amount.ts";

// Stripe's objects in our words. They are read with care and not by the library's types: an account's webhooks come in the API version of the account.

/** Any object of Stripe's; what is in it is believed only after a look. */
export interface StripeObject {
  object?: unknown;
  id?: unknown;
}

type Fields = Record<string, unknown>;

/** The `payment_id` in the metadata of a payment intent. */
export type FindOwner = (paymentIntent: string) => Promise<string | undefined>;

const CHECKOUTS: Record<string, Outcome | undefined> = {
  // Paid at once, or promised by a bank: readCheckout looks.
  "checkout.session.completed": undefined,
  "checkout.session.async_payment_succeeded": "captured",
  "checkout.session.async_payment_failed": "declined",
  "checkout.session.expired": "abandoned",
};
const REFUNDS = ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"];
const DISPUTES: Record<string, Movement> = {
  "charge.dispute.funds_withdrawn": "disputed",
  "charge.dispute.funds_reinstated": "dispute_won",
};

/** Null for what is not about money, or not about ours: an account may have other systems on it. */
export async function readStripeEvent(rawBody: Uint8Array, findOwner: FindOwner): Promise<ProviderEvent | null> {
  const event = parsed(rawBody);
  const type = String(event["type"]);
  const isCheckout = Object.hasOwn(CHECKOUTS, type);
  const isDispute = Object.hasOwn(DISPUTES, type);
  if (!isCheckout && !isDispute && !REFUNDS.includes(type)) return null;
  const eventId = idOf(event);
  const object = fieldsOf(fieldsOf(event["data"])["object"]);
  if (isCheckout) return readCheckout(eventId, object, CHECKOUTS[type])[0] ?? null;
  const intent = object["payment_intent"];
  const owner = typeof intent === "string" && intent ? await findOwner(intent) : undefined;
  const read = isDispute ? readDispute(eventId, object, owner, DISPUTES[type]) : readRefund(eventId, object, owner);
  return read[0] ?? null;
}

/** `outcome` where the event tells it; else what the checkout itself shows. Nothing while nobody knows, as with a bank that takes days. */
export function readCheckout(eventId: string, session: StripeObject, outcome = outcomeOf(session)): ProviderEvent[] {
  const { metadata, currency, amount_total: units } = fieldsOf(session);
  const paymentId = fieldsOf(metadata ?? {})["payment_id"];
  if (!outcome || !isOurs(paymentId)) return [];
  const reason = outcome === "declined" ? "the bank did not pay" : "";
  return [eventOf(eventId, outcome, paymentId, session, { currency, units, reason })];
}

function outcomeOf(session: StripeObject): Outcome | undefined {
  const { status, payment_status } = fieldsOf(session);
  if (payment_status === "paid" || payment_status === "no_payment_required") return "captured";
  return status === "expired" ? "abandoned" : undefined;
}

/** A refund that is on its way counts as made: when it fails, that is told. */
export function readRefund(eventId: string, refund: StripeObject, owner: string | undefined): ProviderEvent[] {
  if (!isOurs(owner)) return [];
  const { status, currency, amount, metadata, reason, failure_reason } = fieldsOf(refund);
  const failed = status === "failed" || status === "canceled";
  const refundId = fieldsOf(metadata ?? {})["refund_id"];
  const about = { currency, units: amount, reason: (failed ? failure_reason : reason) ?? "" };
  const event = eventOf(eventId, failed ? "refund_failed" : "refunded", owner, refund, about);
  return [{ ...event, refundId: typeof refundId === "string" && isUuid(refundId) ? refundId : null }];
}

/** `movement` where the event tells it; else what the dispute has done to the balance: nothing, while it is an inquiry. */
export function readDispute(
  eventId: string,
  dispute: StripeObject,
  owner: string | undefined,
  movement = movementOf(dispute),
): ProviderEvent[] {
  if (!movement || !isOurs(owner)) return [];
  const { currency, amount, reason } = fieldsOf(dispute);
  return [eventOf(eventId, movement, owner, dispute, { currency, units: amount, reason: reason ?? "" })];
}

function movementOf(dispute: StripeObject): Movement | undefined {
  const { balance_transactions: booked } = fieldsOf(dispute);
  if (!Array.isArray(booked) || booked.length === 0) return undefined;
  const net = booked.reduce((sum: number, each: unknown) => sum + Number(fieldsOf(each)["amount"]), 0);
  return net < 0 ? "disputed" : "dispute_won";
}

function eventOf(
  eventId: string,
  kind: ProviderEvent["kind"],
  paymentId: string,
  about: StripeObject,
  { currency, units, reason }: { currency: unknown; units: unknown; reason: unknown },
): ProviderEvent {
  const amount = fromStripe(currency, units);
  if (!amount) throw malformed(`${JSON.stringify(units)} ${JSON.stringify(currency)} is no amount`);
  return { eventId, kind, paymentId, providerReference: idOf(about), refundId: null, amount, reason: String(reason) };
}

function isOurs(paymentId: unknown): paymentId is string {
  return typeof paymentId === "string" && isUuid(paymentId);
}

function idOf({ id }: StripeObject): string {
  if (typeof id !== "string" || !/^\w{1,255}$/.test(id)) throw malformed("an id is not 1 to 255 word characters");
  return id;
}

function parsed(rawBody: Uint8Array): Fields {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(rawBody));
    return fieldsOf(value);
  } catch (error) {
    throw malformed(String(error));
  }
}

function fieldsOf(value: unknown): Fields {
  // An object, so its properties may be looked at, whatever they are.
  if (typeof value === "object" && value !== null) return value as Fields;
  throw malformed(`expected an object, found ${JSON.stringify(value)}`);
}

function malformed(why: string) {
  return refused(Code.InvalidArgument, "MALFORMED_EVENT", `the event cannot be read: ${why}`);
}
