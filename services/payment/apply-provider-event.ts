import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { PaymentCaptured, PaymentFailed } from "../../packages/api/facts.ts";
import type { ApplyProviderEvent } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { amountOf, MOVES, type Payment } from "./payment.ts";
import { type EventRow, findEvent, lockPayment, movePayment } from "./store.ts";

/** Moves the payment the event is about. Events may come late, again and in any order: what is old news moves nothing. */
export async function applyProviderEvent(
  app: App<PaymentConfig>,
  tx: Tx,
  { provider, eventId, paymentId }: ApplyProviderEvent,
): Promise<void> {
  const event = await findEvent(tx.sql, provider, eventId);
  if (!event) throw new Error(`event ${eventId} of ${provider} was not stored`);
  const payment = await lockPayment(tx.sql, paymentId);
  // Only early, perhaps: tried again, then parked.
  if (!payment || payment.provider !== provider) throw notFound("payment", paymentId);
  if (event.kind === "captured") refuseOtherAmount(payment, event, eventId);
  const { from, to } = MOVES[event.kind];
  const now = app.clock.now();
  const moved = await movePayment(tx.sql, paymentId, from, to, event.provider_reference, now);
  if (!moved) return;
  const about = { paymentId, orderId: moved.order_id, customerId: moved.customer_id, amount: amountOf(moved) };
  if (to === "CAPTURED") tx.emit(PaymentCaptured, { ...about, capturedAt: timestampFromDate(now) });
  if (to === "FAILED") tx.emit(PaymentFailed, { ...about, reason: event.reason, failedAt: timestampFromDate(now) });
  app.metrics.moves.inc({ aggregate: "payment", to });
}

/** Money of another amount than was asked for is nothing to guess about: parked for a person, with an error in the log. */
function refuseOtherAmount(
  { payment_id, currency_code, amount_minor_units }: Payment,
  event: EventRow,
  eventId: string,
): void {
  if (event.currency_code === currency_code && event.amount_minor_units === amount_minor_units) return;
  throw refused(
    Code.InvalidArgument,
    "AMOUNT_MISMATCH",
    `event ${eventId} captured ${event.amount_minor_units} ${event.currency_code} for payment ${payment_id}, which asked for ${amount_minor_units} ${currency_code}`,
  );
}
