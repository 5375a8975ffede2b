import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PointsGranted, PointsTakenBack } from "../../packages/api/facts.ts";
import type { PaymentRefunded, PaymentRefundReversed } from "../../packages/api/gen/bodega/payment/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { accountOf, availableOf, closeBook, move, openBook } from "./book.ts";
import { pointsFor } from "./hold.ts";
import { findBooked, findRefunded, saveRefunded } from "./store.ts";

/**
 * Points that were earned with money go back with it, and come again with it. Of points that are spent or held meanwhile nothing is taken: an account
 * never owes any. It is remembered for an order that has not earned yet: that earns on what is kept.
 */
export async function onPaymentRefunded(
  app: App,
  { id, body, tx }: Message<PaymentRefunded | PaymentRefundReversed>,
): Promise<void> {
  const paymentId = uuid("payment_id", body.paymentId);
  const orderId = uuid("order_id", body.orderId);
  const userId = uuid("customer_id", body.customerId);
  if (!body.kept) throw invalidField("kept", `is missing, of payment ${paymentId}`);
  // A bank may have taken what was given back already: then less than nothing is kept.
  const kept = body.kept.minorUnits > 0n ? body.kept.minorUnits : 0n;
  // The account's lock comes first: order.completed may be taken in at this moment, and one of the two must see the other.
  const book = await openBook(tx, [userId]);
  const known = (await findRefunded(tx.sql, [paymentId])).get(paymentId);
  const earned = known?.earned ?? (await findBooked(tx.sql, ["granted"], [orderId])).get(orderId) ?? null;
  const withheld = known?.withheld ?? 0n;
  const tooMany = earned === null ? 0n : earned - pointsFor(kept) - withheld;
  const available = availableOf(accountOf(book, userId));
  const taken = tooMany < available ? tooMany : available;
  if (taken < tooMany)
    app.log.warn("points.spent_meanwhile", { order_id: orderId, user_id: userId, missing: String(tooMany - taken) });
  await saveRefunded(tx.sql, { payment_id: paymentId, kept_minor_units: kept, earned, withheld: withheld + taken });
  if (taken === 0n) return;
  const moved = { userId, orderId, amount: taken > 0n ? taken : -taken, reason: body.reason || "payment refunded" };
  const kind = taken > 0n ? "taken_back" : "granted";
  move(app, tx, book, { ...moved, kind, causeId: `refund ${id}` });
  await closeBook(app, tx, book);
  tx.emit(taken > 0n ? PointsTakenBack : PointsGranted, { ...moved, at: timestampFromDate(app.clock.now()) });
}
