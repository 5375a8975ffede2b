import { StockReleased } from "../../packages/api/facts.ts";
import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { closeBook, move, openBook } from "./book.ts";
import { type Reservation, uuid, WHEN_CANCELLED } from "./reservation.ts";
import { insertReservations, lockReservations, saveReservations } from "./store.ts";

/** Gives back what the order holds, or what it had bought. An order not heard of yet is remembered as released: it will never reserve. */
export async function onOrderCancelled(app: App, tx: Tx, bodies: OrderCancelled[]) {
  const now = app.clock.now();
  const cancelled = new Map(bodies.map((body) => [uuid("order_id", body.orderId), body]));
  const known = await lockReservations(tx.sql, [...cancelled.keys()]);
  const held = [...known.values()].filter(({ status }) => WHEN_CANCELLED[status] !== null);
  const book = await openBook(
    tx,
    held.flatMap(({ lines }) => lines),
  );
  for (const reservation of held) {
    const { orderId, status, lines } = reservation;
    const back = WHEN_CANCELLED[status];
    const message = cancelled.get(orderId);
    if (!back || !message) throw new Error(`reservation ${orderId} is not to be released`);
    inContextOf(message, () => {
      for (const line of lines) move(book, { kind: back.books, id: orderId, message }, line);
      tx.emit(StockReleased, { orderId, lines });
    });
    Object.assign(reservation, { status: back.to, updatedAt: now });
  }
  const early = [...cancelled].filter(([orderId]) => !known.has(orderId));
  for (const [orderId, message] of early) inContextOf(message, () => tx.emit(StockReleased, { orderId, lines: [] }));
  await insertReservations(
    tx.sql,
    early.map(([orderId]) => tombstone(orderId, now)),
  );
  await saveReservations(tx.sql, held);
  await closeBook(app, tx, book);
}

function tombstone(orderId: string, now: Date): Reservation {
  return { orderId, status: "RELEASED", lines: [], createdAt: now, updatedAt: now };
}
