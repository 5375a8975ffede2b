import { StockRejected, StockReserved } from "../../packages/api/facts.ts";
import type { OrderCreated } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { availableOf, type Book, closeBook, itemOf, move, openBook } from "./book.ts";
import { type Line, mergeLines, type Reservation } from "./reservation.ts";
import { insertReservations, lockReservations } from "./store.ts";

const INT32_MAX = 2 ** 31 - 1;

/**
 * Reserves all lines of an order, or none. A batch locks each product once, decides in memory in the facts' order, and writes each product once:
 * many orders for one product are the cheapest case.
 */
export async function onOrderCreated(app: App, tx: Tx, messages: Message<OrderCreated>[]) {
  const orders = ordersOf(messages);
  // Known orders came before, or were cancelled before they were heard of: nothing is reserved for them now.
  const known = await lockReservations(tx.sql, [...orders.keys()]);
  const fresh = [...orders.values()].filter(({ orderId }) => !known.has(orderId));
  const book = await openBook(
    tx,
    fresh.flatMap(({ lines }) => lines),
  );
  const reservations = fresh.map((order) => reserve(book, order, app.clock.now()));
  await insertReservations(tx.sql, reservations);
  await closeBook(app, tx, book);
}

interface Created {
  orderId: string;
  lines: Line[];
  tx: Tx;
}

/** By order id, each as it was first heard of. */
function ordersOf(messages: Message<OrderCreated>[]) {
  const orders = new Map<string, Created>();
  for (const { body, tx } of messages) {
    const orderId = uuid("order_id", body.orderId);
    if (!orders.has(orderId)) orders.set(orderId, { orderId, tx, lines: mergeLines(body.lines) });
  }
  return orders;
}

function reserve(book: Book, { orderId, lines, tx }: Created, now: Date): Reservation {
  const shortages = shortagesOf(book, lines);
  if (shortages.length === 0) {
    for (const line of lines) move(book, { kind: "reserved", id: orderId, tx }, line);
    tx.emit(StockReserved, { orderId, lines });
  } else tx.emit(StockRejected, { orderId, shortages });
  return {
    order_id: orderId,
    status: shortages.length === 0 ? "RESERVED" : "REJECTED",
    lines,
    created_at: now,
    updated_at: now,
  };
}

function shortagesOf(book: Book, lines: Line[]) {
  const short = lines.filter(({ productId, quantity }) => availableOf(itemOf(book, productId)) < quantity);
  return short.map(({ productId, quantity }) => ({
    productId,
    requested: Math.min(quantity, INT32_MAX),
    available: availableOf(itemOf(book, productId)),
  }));
}
