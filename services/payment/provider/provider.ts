import type { Money } from "../../../packages/api/gen/bodega/type/v1/money_pb.ts";

/**
 * Who takes the money. Promises: a call repeated under the same id has one effect and gives the same answer; an event is told at least once,
 * signed, by POST /webhooks/{name}. Does not promise: that events come in order, once, soon, or only after the call that caused them has answered;
 * that a checkout which was declined or abandoned stays so.
 * Rejects with UNAVAILABLE when the provider cannot be asked: the outcome is unknown and the call is to be made again under the same id.
 */
export interface PaymentProvider {
  /** Last segment of the webhook's path, and `provider` of its payments. */
  name: "embedded" | "stripe";
  /** Opens a page where the customer pays. The same `paymentId` names the same checkout for ever: rejects when it is asked for another amount. */
  createCheckout(checkout: Checkout): Promise<{ providerReference: string; checkoutUrl: string }>;
  /** Takes the page away. "decided" when the customer was faster: the money came, or is on its way, and an event tells. */
  closeCheckout(providerReference: string): Promise<"closed" | "decided">;
  /**
   * Gives back part or all of what was captured; `refundId` is the idempotency key. Rejects with FAILED_PRECONDITION and the reason
   * NOTHING_TO_REFUND when less than that is left, or nothing was captured.
   */
  refund(refund: ProviderRefund): Promise<void>;
  /** Throws INVALID_ARGUMENT unless these very bytes were signed by the provider, less than SIGNATURE_WINDOW_MS from now. */
  verifyWebhook(rawBody: Uint8Array, headers: Headers): Promise<void>;
  /** What a genuine webhook tells; null when that is of no interest. Throws INVALID_ARGUMENT when nobody can understand it. May ask the provider. */
  readEvent(rawBody: Uint8Array): Promise<ProviderEvent | null>;
  /** The provider's own books: what happened to checkouts opened, refunds and disputes made in its last `ms` of real time, one entry each as of now. */
  statement(ms: number): AsyncIterable<ProviderEvent>;
}

export const SIGNATURE_WINDOW_MS = 300_000;

export interface Checkout {
  paymentId: string;
  orderId: string;
  amount: Amount;
}

export interface ProviderRefund {
  refundId: string;
  paymentId: string;
  /** The checkout's. */
  providerReference: string;
  amount: Amount;
}

/** What may become of a checkout. */
export type Outcome = "captured" | "declined" | "abandoned";
/** Money that leaves after it came, or comes back: a refund, one that failed at the customer's bank, a dispute, and one that was won. */
export type Movement = "refunded" | "refund_failed" | "disputed" | "dispute_won";

export interface ProviderEvent {
  /** The provider's, at most 255 characters: the same at every delivery. */
  eventId: string;
  kind: Outcome | Movement;
  /** A UUID: ours, as given to `createCheckout`. */
  paymentId: string;
  /** What it is about, as the provider names it: a checkout, a refund or a dispute. */
  providerReference: string;
  /** Ours, of a refund that was asked for here; null for everything else, and for refunds that the provider's own people made. */
  refundId: string | null;
  amount: Amount;
  /** The provider's words for why it was declined, refunded or disputed, as it wrote them; else empty. */
  reason: string;
}

export type Amount = Pick<Money, "currencyCode" | "minorUnits">;
