import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PointsGranted } from "../../packages/api/facts.ts";
import type { OrderCompleted } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { closeBook, move, openBook } from "./book.ts";
import type { PointsConfig } from "./config.ts";
import { pointsFor } from "./hold.ts";
import { findBooked, findRefunded, saveRefunded } from "./store.ts";

const REASON = "order completed";

/** Points for the money of an order that was kept, once per order. Points earn no points, and neither does money of another currency. */
export async function onOrderCompleted(
  app: App<PointsConfig>,
  tx: Tx,
  messages: Message<OrderCompleted>[],
): Promise<void> {
  const paid = messages.map(paidBy).filter(({ currency, total }) => currency === app.config.currency && total > 0n);
  // The accounts' locks come first: a refund may be taken in at this moment, and one of the two must see the other.
  const book = await openBook(
    tx,
    paid.map(({ userId }) => userId),
  );
  const booked = await findBooked(
    tx.sql,
    ["granted"],
    paid.map(({ orderId }) => orderId),
  );
  const refunded = await findRefunded(
    tx.sql,
    paid.flatMap(({ paymentId }) => paymentId ?? []),
  );
  for (const { orderId, userId, paymentId, total, tx: own } of paid) {
    if (booked.has(orderId)) continue;
    const earned = pointsFor(total);
    const payment = paymentId ? refunded.get(paymentId) : undefined;
    const amount = payment ? pointsFor(payment.kept_minor_units) : earned;
    booked.set(orderId, amount);
    if (payment) await saveRefunded(tx.sql, { ...payment, earned, withheld: earned - amount });
    if (amount === 0n) continue;
    move(app, own, book, { kind: "granted", causeId: orderId, userId, amount, orderId, reason: REASON });
    own.emit(PointsGranted, { userId, amount, orderId, reason: REASON, at: timestampFromDate(app.clock.now()) });
  }
  await closeBook(app, tx, book);
}

function paidBy({ body, tx }: Message<OrderCompleted>) {
  const { total, holdId, paymentId } = body;
  const orderId = uuid("order_id", body.orderId);
  const userId = uuid("customer_id", body.customerId);
  if (!total) throw invalidField("total", `is missing, of order ${orderId}`);
  return {
    tx,
    orderId,
    userId,
    paymentId: paymentId ? uuid("payment_id", paymentId) : null,
    currency: total.currencyCode,
    total: holdId ? 0n : total.minorUnits,
  };
}
