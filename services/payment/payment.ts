import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type PaymentSchema, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { Amount, Movement, Outcome, ProviderEvent } from "./provider/provider.ts";

export type Status = Exclude<keyof typeof PaymentStatus, "UNSPECIFIED">;

/** As far as payment cares; an order that is completed was paid. */
export type OrderStatus = "PENDING" | "PAID" | "CANCELLED";

/** A row of `payments`. */
export interface Payment {
  payment_id: string;
  order_id: string;
  customer_id: string;
  status: Status;
  currency_code: string;
  amount_minor_units: bigint;
  refund_requested_minor_units: bigint;
  refunded_minor_units: bigint;
  disputed_minor_units: bigint;
  refund_failed_minor_units: bigint;
  provider: string;
  provider_reference: string | null;
  checkout_url: string | null;
  created_at: Date;
  captured_at: Date | null;
  refunded_at: Date | null;
}

/** Where a provider's event moves a payment, and from where. Everything else is old news: money that came stays, even after a refusal. */
export const MOVES: Record<Outcome, { from: Status[]; to: Status }> = {
  captured: { from: ["PENDING", "FAILED", "ABANDONED"], to: "CAPTURED" },
  declined: { from: ["PENDING"], to: "FAILED" },
  abandoned: { from: ["PENDING"], to: "ABANDONED" },
};

/** Of a row of `refunds`: money that goes back, or went. */
export type RefundStatus = "REQUESTED" | "DONE" | "FAILED" | "REFUSED" | "REVERSED";

/** Where an event moves a refund or a dispute, and from where; one that nobody knows yet begins there. What was reversed stays so: its beginning may be told late. */
export const MOVEMENTS: Record<Movement, { from: RefundStatus[]; to: "DONE" | "REVERSED" }> = {
  refunded: { from: ["REQUESTED", "FAILED", "REFUSED"], to: "DONE" },
  refund_failed: { from: ["REQUESTED", "FAILED", "REFUSED", "DONE"], to: "REVERSED" },
  disputed: { from: [], to: "DONE" },
  dispute_won: { from: ["DONE"], to: "REVERSED" },
};

export function isMovement(kind: ProviderEvent["kind"]): kind is Movement {
  return Object.hasOwn(MOVEMENTS, kind);
}

export function amountOf(payment: Payment): Amount {
  return money(payment, payment.amount_minor_units);
}

/** What can still be given back: refunds under way do not count twice. */
export function leftOf(payment: Payment): bigint {
  if (payment.status !== "CAPTURED") return 0n;
  const left = payment.amount_minor_units - payment.refund_requested_minor_units - payment.disputed_minor_units;
  return left > 0n ? left : 0n;
}

/** What is there of it, refunds under way included; less than nothing where a bank took more than was left. */
export function keptOf(payment: Payment): bigint {
  return payment.amount_minor_units - payment.refunded_minor_units - payment.disputed_minor_units;
}

/** What was to go back and did not, as far as it has not gone back otherwise. */
function owedOf(payment: Payment): bigint {
  const left = leftOf(payment);
  return payment.refund_failed_minor_units < left ? payment.refund_failed_minor_units : left;
}

export function money(payment: Payment, minorUnits: bigint): Amount {
  return { currencyCode: payment.currency_code, minorUnits };
}

export function paymentMessage(payment: Payment): MessageInitShape<typeof PaymentSchema> {
  const { captured_at, refunded_at } = payment;
  return {
    paymentId: payment.payment_id,
    orderId: payment.order_id,
    customerId: payment.customer_id,
    status: PaymentStatus[payment.status],
    amount: amountOf(payment),
    refunded: money(payment, payment.refunded_minor_units),
    disputed: money(payment, payment.disputed_minor_units),
    owed: money(payment, owedOf(payment)),
    checkoutUrl: payment.status === "PENDING" ? (payment.checkout_url ?? "") : "",
    provider: payment.provider,
    createdAt: timestampFromDate(payment.created_at),
    ...(captured_at && { capturedAt: timestampFromDate(captured_at) }),
    ...(refunded_at && { refundedAt: timestampFromDate(refunded_at) }),
  };
}
