import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { PointsGranted } from "../../packages/api/facts.ts";
import type { OrderCompleted } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { closeBook, move, openBook } from "./book.ts";
import { pointsFor, uuid } from "./hold.ts";
import { findBooked } from "./store.ts";

const REASON = "order completed";

/** Points for orders that were paid in money, once per order. Points earn no points. */
export async function onOrderCompleted(app: App, tx: Tx, bodies: OrderCompleted[]): Promise<void> {
  const earned = bodies.map(earnedBy).filter(({ amount }) => amount > 0n);
  const booked = await findBooked(
    tx.sql,
    "granted",
    earned.map(({ orderId }) => orderId),
  );
  const book = await openBook(
    tx,
    earned.map(({ userId }) => userId),
  );
  for (const { message, orderId, userId, amount } of earned) {
    if (booked.has(orderId)) continue;
    booked.add(orderId);
    inContextOf(message, () => {
      move(app, book, { kind: "granted", causeId: orderId, userId, amount, orderId, reason: REASON });
      tx.emit(PointsGranted, { userId, amount, orderId, reason: REASON, at: timestampFromDate(app.clock.now()) });
    });
  }
  await closeBook(app, tx, book);
}

function earnedBy(message: OrderCompleted) {
  const { total, holdId } = message;
  const orderId = uuid("order_id", message.orderId);
  const userId = uuid("customer_id", message.customerId);
  if (!total) throw invalidField("total", `is missing, of order ${orderId}`);
  return { message, orderId, userId, amount: holdId ? 0n : pointsFor(total.minorUnits) };
}
