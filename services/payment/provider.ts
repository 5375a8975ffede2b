import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";

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
  /** Gives back part or all of what was captured; `refundId` is the idempotency key. Rejects when less than that is left, or nothing was captured. */
  refund(refund: ProviderRefund): Promise<void>;
  /**
   * Verifies a webhook over its raw bytes and reads it. Throws INVALID_ARGUMENT when it is not signed by the provider, older or newer than
   * SIGNATURE_WINDOW_MS, or malformed; null when it is genuine and of no interest.
   */
  parseWebhook(rawBody: Uint8Array, headers: Headers): Promise<ProviderEvent | null>;
}

export const SIGNATURE_WINDOW_MS = 300_000;

export interface Checkout {
  paymentId: string;
  orderId: string;
  amount: Amount;
}

export interface ProviderRefund {
  refundId: string;
  /** As the provider named what it captured. */
  providerReference: string;
  amount: Amount;
}

export interface ProviderEvent {
  /** The provider's, at most 255 characters: the same at every delivery. */
  eventId: string;
  kind: "captured" | "declined" | "abandoned";
  /** A UUID: ours, as given to `createCheckout`. */
  paymentId: string;
  /** What to name when the money is to go back. */
  providerReference: string;
  amount: Amount;
  /** The provider's words for why it was declined; else empty. */
  reason: string;
}

export type Amount = Pick<Money, "currencyCode" | "minorUnits">;
