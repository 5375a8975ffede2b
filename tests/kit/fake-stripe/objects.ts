// The fake Stripe's objects, as its API shows them.

export interface Session {
  object: "checkout.session";
  id: string;
  client_reference_id: string | null;
  metadata: Record<string, string>;
  amount_total: number;
  currency: string;
  status: "open" | "complete" | "expired";
  payment_status: "paid" | "unpaid";
  payment_intent: string | null;
  url: string | null;
  success_url: string;
  cancel_url: string | null;
  mode: "payment";
  livemode: false;
  created: number;
  expires_at: number;
}

export interface Intent {
  object: "payment_intent";
  id: string;
  amount: number;
  amount_received: number;
  currency: string;
  metadata: Record<string, string>;
  status: "processing" | "succeeded" | "requires_payment_method";
  livemode: false;
  created: number;
}

export interface Refund {
  object: "refund";
  id: string;
  amount: number;
  currency: string;
  payment_intent: string;
  metadata: Record<string, string>;
  status: "pending" | "succeeded" | "failed";
  reason: string | null;
  failure_reason?: string;
  created: number;
}

export interface Dispute {
  object: "dispute";
  id: string;
  amount: number;
  currency: string;
  payment_intent: string;
  metadata: Record<string, string>;
  status: "needs_response" | "won" | "lost" | "warning_needs_response";
  reason: string;
  balance_transactions: { object: "balance_transaction"; id: string; amount: number; currency: string }[];
  livemode: false;
  created: number;
}

export interface StripeEvent {
  object: "event";
  id: string;
  type: string;
  api_version: string;
  created: number;
  livemode: false;
  pending_webhooks: number;
  request: { id: null; idempotency_key: null };
  data: { object: Session | Refund | Dispute | Intent };
}

/** What Stripe holds of one payment, in its own count. */
export interface Balance {
  captured: number;
  refunded: number;
  disputed: number;
}

export interface NewSession {
  client_reference_id: string | null;
  metadata: Record<string, string>;
  intentMetadata: Record<string, string>;
  amount_total: number;
  currency: string;
  success_url: string;
  cancel_url: string | null;
}
