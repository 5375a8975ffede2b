import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type PaymentSchema, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { Amount, ProviderEvent } from "./provider.ts";

export type Status = Exclude<keyof typeof PaymentStatus, "UNSPECIFIED">;

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
  provider: string;
  provider_reference: string | null;
  checkout_url: string | null;
  created_at: Date;
  captured_at: Date | null;
  refunded_at: Date | null;
}

/** Where a provider's event moves a payment, and from where. Everything else is old news: money that came stays, even after a refusal. */
export const MOVES: Record<ProviderEvent["kind"], { from: Status[]; to: Status }> = {
  captured: { from: ["PENDING", "FAILED", "ABANDONED"], to: "CAPTURED" },
  declined: { from: ["PENDING"], to: "FAILED" },
  abandoned: { from: ["PENDING"], to: "ABANDONED" },
};

export function amountOf(payment: Payment): Amount {
  return money(payment, payment.amount_minor_units);
}

/** What can still be given back: refunds under way do not count twice. */
export function leftOf(payment: Payment): bigint {
  return payment.status === "CAPTURED" ? payment.amount_minor_units - payment.refund_requested_minor_units : 0n;
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
    checkoutUrl: payment.status === "PENDING" ? (payment.checkout_url ?? "") : "",
    provider: payment.provider,
    createdAt: timestampFromDate(payment.created_at),
    ...(captured_at && { capturedAt: timestampFromDate(captured_at) }),
    ...(refunded_at && { refundedAt: timestampFromDate(refunded_at) }),
  };
}
