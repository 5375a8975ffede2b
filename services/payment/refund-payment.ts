import { Code } from "@connectrpc/connect";
import {
  type RefundPaymentRequest,
  RefundPaymentResponseSchema,
} from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { RequestRefund } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound, refused } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { leftOf, type Payment, paymentMessage } from "./payment.ts";
import { insertRefund, lockPayment, sumUp } from "./store.ts";

export async function refundPayment(app: App<PaymentConfig>, caller: Caller, req: RefundPaymentRequest) {
  const story = async (tx: Tx) => {
    const payment = await lockPayment(tx.sql, req.paymentId);
    if (!payment) throw notFound("payment", req.paymentId);
    const minorUnits = refundable(payment, req);
    const promised = await promiseRefund(app, tx, payment, minorUnits, req.reason, caller.userId);
    const { payment_id: subject, order_id: orderId, currency_code } = payment;
    audit(app, tx, caller, {
      subject,
      orderId,
      reason: req.reason,
      detail: `${minorUnits} ${currency_code} minor units`,
    });
    return { payment: paymentMessage(promised) };
  };
  return app.transactOnce(caller, RefundPaymentResponseSchema, req, story);
}

/** How much to give back; refuses what cannot be. */
function refundable(payment: Payment, { amount }: RefundPaymentRequest): bigint {
  const { payment_id, currency_code } = payment;
  refuseUncaptured(payment);
  if (amount && amount.currencyCode !== currency_code)
    throw invalidField(
      "amount.currency_code",
      `is ${amount.currencyCode || "empty"}: the payment is in ${currency_code}`,
    );
  const left = leftOf(payment);
  const asked = amount?.minorUnits ?? left;
  if (asked > left || left === 0n) {
    throw refused(
      Code.FailedPrecondition,
      "REFUND_TOO_HIGH",
      `payment ${payment_id} has ${left} ${currency_code} minor units left to refund, asked for ${asked}`,
    );
  }
  return asked;
}

/** Of a payment that is refunded nothing is left, which is another refusal. */
export function refuseUncaptured({ payment_id, status }: Payment): void {
  if (status === "CAPTURED" || status === "REFUNDED") return;
  throw refused(Code.FailedPrecondition, "NOT_CAPTURED", `payment ${payment_id} is ${status}: expected CAPTURED`);
}

/** Records a refund of a locked payment, and that the provider must be told. */
export async function promiseRefund(
  app: App<PaymentConfig>,
  tx: Tx,
  payment: Payment,
  minorUnits: bigint,
  reason: string,
  requestedBy: string,
): Promise<Payment> {
  const { payment_id: paymentId } = payment;
  const left = leftOf(payment);
  if (minorUnits > left) throw new Error(`payment ${paymentId} has ${left} left, not ${minorUnits}`);
  const refundId = app.random.idBeside(paymentId);
  const requestedAt = app.clock.now();
  const asked = { origin: "ASKED", status: "REQUESTED", reference: null } as const;
  await insertRefund(tx.sql, { refundId, paymentId, minorUnits, reason, requestedBy, requestedAt, ...asked });
  tx.enqueue(RequestRefund, { refundId, paymentId });
  return sumUp(tx.sql, paymentId, requestedAt);
}
