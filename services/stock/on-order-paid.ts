import { StockCommitted } from "../../packages/api/facts.ts";
import type { OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { closeBook, move, openBook } from "./book.ts";
import { type Reservation, WHEN_PAID } from "./reservation.ts";
import { lockReservations, saveReservations } from "./store.ts";

/** What the order holds is sold. */
export async function onOrderPaid(app: App, tx: Tx, messages: Message<OrderPaid>[]) {
  const now = app.clock.now();
  const paid = new Map(messages.map(({ body, tx: own }) => [uuid("order_id", body.orderId), own]));
  const known = await lockReservations(tx.sql, [...paid.keys()]);
  const book = await openBook(
    tx,
    [...known.values()].flatMap(({ lines }) => lines),
  );
  const sold: Reservation[] = [];
  for (const [orderId, own] of paid) {
    const reservation = known.get(orderId);
    if (!reservation) throw notFound("reservation", orderId); // It may only be early: order.created is still on the way.
    const { status, lines } = reservation;
    const sale = WHEN_PAID[status];
    if (sale === "impossible") throw new Error(`order ${orderId} was paid, expected a reservation, found it ${status}`);
    if (!sale) continue;
    for (const line of lines) move(book, { kind: sale.books, id: orderId, tx: own }, line);
    own.emit(StockCommitted, { orderId, lines });
    reservation.status = sale.to;
    reservation.updated_at = now;
    sold.push(reservation);
  }
  await saveReservations(tx.sql, sold);
  await closeBook(app, tx, book);
}
