import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { PaymentRefunded, PaymentRefundReversed } from "../../packages/api/facts.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { keptOf, MOVEMENTS, money, type Payment, type RefundStatus } from "./payment.ts";
import type { Movement } from "./provider/provider.ts";
import { refundWhatWasRefused } from "./refund-remainder.ts";
import { findRefundOf, insertRefund, moveRefund, type Refund, sumUp } from "./store.ts";

/** What the provider says has become of a refund or a dispute. */
export interface MovementTold {
  kind: Movement;
  /** The provider's name of it, and ours; an event knows one, or both. */
  provider_reference: string | null;
  refund_id: string | null;
  currency_code: string;
  amount_minor_units: bigint;
  reason: string;
}

/** Money that came has moved again. The caller holds the payment's lock. One refund or dispute is booked once, whoever tells of it, in whatever order. */
export async function bookMovement(
  app: App<PaymentConfig>,
  tx: Tx,
  payment: Payment,
  told: MovementTold,
): Promise<void> {
  const { payment_id: paymentId } = payment;
  const { from, to } = MOVEMENTS[told.kind];
  const before = await findRefundOf(tx.sql, paymentId, told.refund_id, told.provider_reference);
  refuseOtherAmount(payment, before, told);
  if (before && !from.includes(before.status)) return;
  const now = app.clock.now();
  if (before) await moveRefund(tx.sql, before.refund_id, to, told.provider_reference, now);
  const refund = before ?? (await begin(app, tx, payment, told, to));
  const after = await sumUp(tx.sql, paymentId, now);
  const about = {
    paymentId,
    orderId: after.order_id,
    customerId: after.customer_id,
    amount: money(after, refund.amount_minor_units),
    refundId: refund.refund_id,
    kept: money(after, keptOf(after)),
  };
  if (to === "DONE") tx.emit(PaymentRefunded, { ...about, reason: refund.reason, refundedAt: timestampFromDate(now) });
  else if (before?.status === "DONE")
    tx.emit(PaymentRefundReversed, { ...about, reason: wordsOf(told), reversedAt: timestampFromDate(now) });
  if (told.kind === "refund_failed")
    app.log.error("refund.failed", told.reason, { payment_id: paymentId, refund_id: refund.refund_id });
  if (to === "DONE") await refundWhatWasRefused(app, tx, after);
  if (after.status !== payment.status) app.metrics.moves.inc({ aggregate: "payment", to: after.status });
}

/** Made at the provider, or at a bank: nobody here has asked for it. */
async function begin(app: App<PaymentConfig>, tx: Tx, payment: Payment, told: MovementTold, status: RefundStatus) {
  const { payment_id: paymentId, provider } = payment;
  const isDispute = told.kind === "disputed" || told.kind === "dispute_won";
  const reason = wordsOf(told);
  const refundId = app.random.idBeside(paymentId);
  await insertRefund(tx.sql, {
    refundId,
    paymentId,
    minorUnits: told.amount_minor_units,
    reason,
    requestedBy: provider,
    requestedAt: app.clock.now(),
    origin: isDispute ? "DISPUTE" : "PROVIDER",
    status,
    reference: told.provider_reference,
  });
  return { refund_id: refundId, amount_minor_units: told.amount_minor_units, reason };
}

const WORDS: Record<Movement, string> = {
  refunded: "given back by the shop",
  refund_failed: "the bank did not take the refund",
  disputed: "disputed at the bank",
  dispute_won: "the dispute was won",
};

/** The customer reads it in the mail. */
function wordsOf({ kind, reason }: MovementTold): string {
  return reason ? `${WORDS[kind]}: ${reason.replaceAll("_", " ")}` : WORDS[kind];
}

function refuseOtherAmount({ payment_id, currency_code }: Payment, before: Refund | undefined, told: MovementTold) {
  const expected = before?.amount_minor_units ?? told.amount_minor_units;
  if (told.currency_code === currency_code && told.amount_minor_units === expected) return;
  throw refused(
    Code.InvalidArgument,
    "AMOUNT_MISMATCH",
    `${told.kind} ${told.provider_reference} of payment ${payment_id} has ${told.amount_minor_units} ${told.currency_code}, expected ${expected} ${currency_code}`,
  );
}
