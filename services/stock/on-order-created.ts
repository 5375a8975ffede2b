import { StockRejected, StockReserved } from "../../packages/api/facts.ts";
import type { OrderCreated } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { availableOf, type Book, closeBook, itemOf, move, openBook } from "./book.ts";
import { type Line, mergeLines, type Reservation, uuid } from "./reservation.ts";
import { insertReservations, lockReservations } from "./store.ts";

const INT32_MAX = 2 ** 31 - 1;

/**
 * Reserves all lines of an order, or none. A batch locks each product once, decides in memory in the facts' order, and writes each product once:
 * many orders for one product are the cheapest case.
 */
export async function onOrderCreated(app: App, tx: Tx, bodies: OrderCreated[]) {
  const orders = ordersOf(bodies);
  // Known orders came before, or were cancelled before they were heard of: nothing is reserved for them now.
  const known = await lockReservations(tx.sql, [...orders.keys()]);
  const fresh = [...orders.values()].filter(({ orderId }) => !known.has(orderId));
  const book = await openBook(
    tx,
    fresh.flatMap(({ lines }) => lines),
  );
  const reservations = fresh.map(({ body, orderId, lines }) =>
    inContextOf(body, () => reserve(tx, book, { orderId, lines, message: body, now: app.clock.now() })),
  );
  await insertReservations(tx.sql, reservations);
  await closeBook(app, tx, book);
}

/** By order id, each as it was first heard of. */
function ordersOf(bodies: OrderCreated[]) {
  const orders = new Map<string, { orderId: string; body: OrderCreated; lines: Line[] }>();
  for (const body of bodies) {
    const orderId = uuid("order_id", body.orderId);
    if (!orders.has(orderId)) orders.set(orderId, { orderId, body, lines: mergeLines(body.lines) });
  }
  return orders;
}

function reserve(
  tx: Tx,
  book: Book,
  order: { orderId: string; lines: Line[]; message: object; now: Date },
): Reservation {
  const { orderId, lines, message, now } = order;
  const shortages = shortagesOf(book, lines);
  if (shortages.length === 0) {
    for (const line of lines) move(book, { kind: "reserved", id: orderId, message }, line);
    tx.emit(StockReserved, { orderId, lines });
  } else tx.emit(StockRejected, { orderId, shortages });
  return { orderId, status: shortages.length === 0 ? "RESERVED" : "REJECTED", lines, createdAt: now, updatedAt: now };
}

function shortagesOf(book: Book, lines: Line[]) {
  const short = lines.filter(({ productId, quantity }) => availableOf(itemOf(book, productId)) < quantity);
  return short.map(({ productId, quantity }) => ({
    productId,
    requested: Math.min(quantity, INT32_MAX),
    available: availableOf(itemOf(book, productId)),
  }));
}
