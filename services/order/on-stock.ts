import type {
  StockCommitted,
  StockRejected,
  StockReleased,
  StockReserved,
} from "../../packages/api/gen/bodega/stock/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { cancel, pay } from "./move-order.ts";
import type { Held } from "./order.ts";
import { lockOrders, setReservation, updateOrders } from "./store.ts";

// What stock says about an order's reservation. Stock owns it; the order shows it.

/** What costs nothing is paid by being there. */
export async function onStockReserved(app: App, tx: Tx, messages: Message<StockReserved>[]): Promise<void> {
  const free = await follow(tx, messages, "RESERVED");
  if (free.size === 0) return;
  const orders = await lockOrders(tx.sql, [...free]);
  for (const { body, tx: own } of messages) {
    const order = orders.get(body.orderId);
    if (order?.status !== "PENDING") continue;
    orders.delete(body.orderId);
    await pay(app, own, order, { free: true }, { cause: "stock.reserved", actor: "order" });
  }
}

export async function onStockReleased(_app: App, tx: Tx, messages: Message<StockReleased>[]): Promise<void> {
  await follow(tx, messages, "RELEASED");
}

export async function onStockCommitted(_app: App, tx: Tx, messages: Message<StockCommitted>[]): Promise<void> {
  await follow(tx, messages, "COMMITTED");
}

export async function onStockRejected(app: App, { body, tx }: Message<StockRejected>): Promise<void> {
  const { orderId } = body;
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!order) throw notFound("order", orderId);
  if (order.status === "PENDING")
    await cancel(app, tx, order, { reason: "OUT_OF_STOCK" }, { cause: "stock.rejected", actor: "stock" });
  else await updateOrders(tx.sql, [{ ...order, reservation: "REJECTED", version: order.version + 1n }]);
}

/** Says which of the orders cost nothing. */
async function follow(tx: Tx, messages: Message<{ orderId: string }>[], reservation: Held): Promise<Set<string>> {
  const orderIds = [...new Set(messages.map(({ body }) => body.orderId))];
  const known = await setReservation(tx.sql, orderIds, reservation);
  for (const orderId of orderIds) {
    if (!known.has(orderId)) throw notFound("order", orderId);
    tx.changed(orderId);
  }
  return new Set(orderIds.filter((orderId) => known.get(orderId) === 0n));
}
