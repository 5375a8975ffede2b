import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { settle, type Told } from "./settle-hold.ts";
import { findUndecided } from "./store.ts";

/** Gives back what the order had paid in points, and releases what it may still hold. */
export async function onOrderCancelled(app: App, tx: Tx, messages: Message<OrderCancelled>[]): Promise<void> {
  const orders = messages.map(({ body, tx: own }) => ({ body, orderId: uuid("order_id", body.orderId), tx: own }));
  const undecided = await findUndecided(
    tx.sql,
    orders.map(({ orderId }) => orderId),
  );
  const told = orders.flatMap(({ body, orderId, tx: own }): Told[] => {
    const open = undecided.get(orderId);
    if (!body.holdId) return open ? [{ holdId: open, orderId, verdict: "abort", tx: own }] : [];
    const holdId = uuid("hold_id", body.holdId);
    // It had paid: should that not have been heard, it is now, and the ledger has both.
    return [
      { holdId, orderId, verdict: "commit", tx: own },
      { holdId, orderId, verdict: "return", tx: own },
    ];
  });
  await settle(app, tx, told);
}
