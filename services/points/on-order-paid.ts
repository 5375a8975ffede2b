import type { OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { uuid } from "./hold.ts";
import { settle, type Told } from "./settle-hold.ts";
import { findUndecided } from "./store.ts";

/** COMMIT for the hold that paid. Paid in money, the order will never take the points it may still hold. */
export async function onOrderPaid(app: App, tx: Tx, bodies: OrderPaid[]): Promise<void> {
  const orders = bodies.map((message) => ({ message, orderId: uuid("order_id", message.orderId) }));
  const undecided = await findUndecided(
    tx.sql,
    orders.map(({ orderId }) => orderId),
  );
  const told = orders.flatMap(({ message, orderId }): Told[] => {
    if (message.holdId) return [{ holdId: uuid("hold_id", message.holdId), orderId, verdict: "commit", message }];
    const holdId = undecided.get(orderId);
    return holdId ? [{ holdId, orderId, verdict: "abort", message }] : [];
  });
  await settle(app, tx, told);
}
