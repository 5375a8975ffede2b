import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { PaymentCaptured, PaymentFailed } from "../../packages/api/facts.ts";
import type { ApplyProviderEvent } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import { ApplyProviderEvent as ApplyProviderEventJob } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { bookMovement } from "./book-movement.ts";
import type { PaymentConfig } from "./config.ts";
import { amountOf, isMovement, MOVEMENTS, MOVES, type Payment } from "./payment.ts";
import type { Outcome } from "./provider/provider.ts";
import { type EventRow, findEvent, findWaiting, lockPayment, markApplied, movePayment } from "./store.ts";

/** Moves the payment the event is about. Events may come late, again and in any order: what is old news moves nothing. */
export async function applyProviderEvent(
  app: App<PaymentConfig>,
  { body, tx }: Message<ApplyProviderEvent>,
): Promise<void> {
  const { provider, eventId, paymentId } = body;
  const event = await findEvent(tx.sql, provider, eventId);
  if (!event) throw new Error(`event ${eventId} of ${provider} was not stored`);
  const payment = await lockPayment(tx.sql, paymentId);
  // Only early, perhaps: tried again, then parked.
  if (!payment || payment.provider !== provider) throw notFound("payment", paymentId);
  if (!isMovement(event.kind)) await moveCheckout(app, tx, payment, event, event.kind);
  else if (!payment.captured_at) {
    app.log.warn("payment.event_waits", { event_id: eventId, kind: event.kind, payment_id: paymentId });
    return;
  } else await bookMovement(app, tx, payment, { ...event, kind: event.kind });
  await markApplied(tx.sql, provider, eventId, app.clock.now());
}

async function moveCheckout(app: App<PaymentConfig>, tx: Tx, payment: Payment, event: EventRow, kind: Outcome) {
  if (kind === "captured") refuseOtherAmount(payment, event);
  const { payment_id: paymentId, provider } = payment;
  const { from, to } = MOVES[kind];
  const now = app.clock.now();
  const moved = await movePayment(tx.sql, paymentId, from, to, event.provider_reference, now);
  if (!moved) return;
  const about = { paymentId, orderId: moved.order_id, customerId: moved.customer_id, amount: amountOf(moved) };
  if (to === "FAILED") tx.emit(PaymentFailed, { ...about, reason: event.reason, failedAt: timestampFromDate(now) });
  app.metrics.moves.inc({ aggregate: "payment", to });
  if (to !== "CAPTURED") return;
  tx.emit(PaymentCaptured, { ...about, capturedAt: timestampFromDate(now) });
  // What happened to the money was told before the money.
  for (const eventId of await findWaiting(tx.sql, provider, paymentId, Object.keys(MOVEMENTS)))
    tx.enqueue(ApplyProviderEventJob, { provider, eventId, paymentId });
}

/** Money of another amount than was asked for is nothing to guess about: parked for a person, with an error in the log. */
function refuseOtherAmount({ payment_id, currency_code, amount_minor_units }: Payment, event: EventRow): void {
  if (event.currency_code === currency_code && event.amount_minor_units === amount_minor_units) return;
  throw refused(
    Code.InvalidArgument,
    "AMOUNT_MISMATCH",
    `event ${event.event_id} captured ${event.amount_minor_units} ${event.currency_code} for payment ${payment_id}, which asked for ${amount_minor_units} ${currency_code}`,
  );
}
