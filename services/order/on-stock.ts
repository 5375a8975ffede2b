import type { StockCommitted, StockRejected, StockReleased, StockReserved } from "../../packages/api/facts.ts";
import type { Body } from "../../packages/api/messages.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import { cancel } from "./move-order.ts";
import type { Held } from "./order.ts";
import { lockOrders, setReservation, updateOrders } from "./store.ts";

// What stock says about an order's reservation. Stock owns it; the order shows it.

export function onStockReserved(_app: App, tx: Tx, bodies: Body<typeof StockReserved>[]): Promise<void> {
  return follow(tx, bodies, "RESERVED");
}

export function onStockReleased(_app: App, tx: Tx, bodies: Body<typeof StockReleased>[]): Promise<void> {
  return follow(tx, bodies, "RELEASED");
}

export function onStockCommitted(_app: App, tx: Tx, bodies: Body<typeof StockCommitted>[]): Promise<void> {
  return follow(tx, bodies, "COMMITTED");
}

export async function onStockRejected(app: App, tx: Tx, { orderId }: Body<typeof StockRejected>): Promise<void> {
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!order) throw notFound("order", orderId);
  if (order.status === "PENDING")
    await cancel(app, tx, order, "OUT_OF_STOCK", { cause: "stock.rejected", actor: "stock" });
  else await updateOrders(tx.sql, [{ ...order, reservation: "REJECTED", version: order.version + 1n }]);
}

async function follow(tx: Tx, bodies: { orderId: string }[], reservation: Held): Promise<void> {
  const orderIds = [...new Set(bodies.map(({ orderId }) => orderId))];
  const known = await setReservation(tx.sql, orderIds, reservation);
  for (const orderId of orderIds) {
    if (!known.has(orderId)) throw notFound("order", orderId);
    tx.changed(orderId);
  }
}
