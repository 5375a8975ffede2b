import { StockReleased } from "../../packages/api/facts.ts";
import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { closeBook, move, openBook } from "./book.ts";
import { type Reservation, WHEN_CANCELLED } from "./reservation.ts";
import { insertReservations, lockReservations, saveReservations } from "./store.ts";

/** Gives back what the order holds, or what it had bought. An order not heard of yet is remembered as released: it will never reserve. */
export async function onOrderCancelled(app: App, tx: Tx, messages: Message<OrderCancelled>[]) {
  const now = app.clock.now();
  const cancelled = new Map(
    messages.map(({ body, tx: own }) => [uuid("order_id", body.orderId), { ...body, tx: own }]),
  );
  const known = await lockReservations(tx.sql, [...cancelled.keys()]);
  const held = [...known.values()].filter(({ status }) => WHEN_CANCELLED[status] !== null);
  const book = await openBook(
    tx,
    held.flatMap(({ lines }) => lines),
  );
  for (const reservation of held) {
    const { order_id, status, lines } = reservation;
    const back = WHEN_CANCELLED[status];
    const message = cancelled.get(order_id);
    if (!back || !message) throw new Error(`reservation ${order_id} is not to be released`);
    // What was sold has left the shelf already: it only does not come back.
    const returned = message.withoutRestock && back.books === "returned" ? [] : lines;
    for (const line of returned) move(book, { kind: back.books, id: order_id, tx: message.tx }, line);
    message.tx.emit(StockReleased, { orderId: order_id, lines: returned });
    reservation.status = back.to;
    reservation.updated_at = now;
  }
  const early = [...cancelled].filter(([orderId]) => !known.has(orderId));
  for (const [orderId, { tx: own }] of early) own.emit(StockReleased, { orderId, lines: [] });
  await insertReservations(
    tx.sql,
    early.map(([orderId]) => tombstone(orderId, now)),
  );
  await saveReservations(tx.sql, held);
  await closeBook(app, tx, book);
}

function tombstone(orderId: string, now: Date): Reservation {
  return { order_id: orderId, status: "RELEASED", lines: [], created_at: now, updated_at: now };
}
