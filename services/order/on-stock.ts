import type { StockCommitted, StockRejected, StockReleased, StockReserved } from "../../packages/api/facts.ts";
import type { Body } from "../../packages/api/messages.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import { cancel } from "./move-order.ts";
import type { Held, Order } from "./order.ts";
import { lockOrders, updateOrders } from "./store.ts";

// What stock says about an order's reservation. Stock owns it; the order shows it.

export function onStockReserved(app: App, tx: Tx, bodies: Body<typeof StockReserved>[]): Promise<void> {
  return follow(app, tx, bodies, "RESERVED");
}

export function onStockReleased(app: App, tx: Tx, bodies: Body<typeof StockReleased>[]): Promise<void> {
  return follow(app, tx, bodies, "RELEASED");
}

export function onStockCommitted(app: App, tx: Tx, bodies: Body<typeof StockCommitted>[]): Promise<void> {
  return follow(app, tx, bodies, "COMMITTED");
}

export async function onStockRejected(app: App, tx: Tx, { orderId }: Body<typeof StockRejected>): Promise<void> {
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (!order) throw notFound("order", orderId);
  if (order.status === "PENDING")
    await cancel(app, tx, order, "OUT_OF_STOCK", { cause: "stock.rejected", actor: "stock" });
  else await updateOrders(tx.sql, [{ ...order, reservation: "REJECTED", version: order.version + 1n }]);
}

async function follow(_app: App, tx: Tx, bodies: { orderId: string }[], reservation: Held): Promise<void> {
  const orders = await lockOrders(tx.sql, [...new Set(bodies.map((body) => body.orderId))]);
  const changed: Order[] = [];
  for (const { orderId } of bodies) {
    const order = orders.get(orderId);
    if (!order) throw notFound("order", orderId);
    if (order.reservation === reservation) continue;
    changed.push({ ...order, reservation, version: order.version + 1n });
    orders.set(orderId, { ...order, reservation });
    tx.changed(orderId);
  }
  if (changed.length > 0) await updateOrders(tx.sql, changed);
}
