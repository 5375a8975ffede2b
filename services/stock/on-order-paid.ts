import { StockCommitted } from "../../packages/api/facts.ts";
import type { OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { closeBook, move, openBook } from "./book.ts";
import { uuid, WHEN_PAID } from "./reservation.ts";
import { lockReservations, saveReservations } from "./store.ts";

/** What the order holds is sold. */
export async function onOrderPaid(app: App, tx: Tx, bodies: OrderPaid[]) {
  const now = app.clock.now();
  const paid = new Map(bodies.map((body) => [uuid("order_id", body.orderId), body]));
  const known = await lockReservations(tx.sql, [...paid.keys()]);
  const book = await openBook(
    tx,
    [...known.values()].flatMap(({ lines }) => lines),
  );
  const sold = [];
  for (const [orderId, message] of paid) {
    const reservation = known.get(orderId);
    if (!reservation) throw notFound("reservation", orderId); // It may only be early: order.created is still on the way.
    const { status, lines } = reservation;
    const sale = WHEN_PAID[status];
    if (sale === "impossible") throw new Error(`order ${orderId} was paid, expected a reservation, found it ${status}`);
    if (!sale) continue;
    inContextOf(message, () => {
      for (const line of lines) move(book, { kind: sale.books, id: orderId, message }, line);
      tx.emit(StockCommitted, { orderId, lines });
    });
    sold.push(Object.assign(reservation, { status: sale.to, updatedAt: now }));
  }
  await saveReservations(tx.sql, sold);
  await closeBook(app, tx, book);
}
