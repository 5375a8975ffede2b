import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { uuid } from "./hold.ts";
import { settle, type Told } from "./settle-hold.ts";
import { findUndecided } from "./store.ts";

/** Gives back what the order had paid in points, and releases what it may still hold. */
export async function onOrderCancelled(app: App, tx: Tx, bodies: OrderCancelled[]): Promise<void> {
  const orders = bodies.map((message) => ({ message, orderId: uuid("order_id", message.orderId) }));
  const undecided = await findUndecided(
    tx.sql,
    orders.map(({ orderId }) => orderId),
  );
  const told = orders.flatMap(({ message, orderId }): Told[] => {
    const open = undecided.get(orderId);
    if (!message.holdId) return open ? [{ holdId: open, orderId, verdict: "abort", message }] : [];
    const holdId = uuid("hold_id", message.holdId);
    // It had paid: should that not have been heard, it is now, and the ledger has both.
    return [
      { holdId, orderId, verdict: "commit", message },
      { holdId, orderId, verdict: "return", message },
    ];
  });
  await settle(app, tx, told);
}
