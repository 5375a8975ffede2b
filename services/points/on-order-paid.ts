import type { OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { settle, type Told } from "./settle-hold.ts";
import { findUndecided } from "./store.ts";

/** COMMIT for the hold that paid. Paid in money, the order will never take the points it may still hold. */
export async function onOrderPaid(app: App, tx: Tx, messages: Message<OrderPaid>[]): Promise<void> {
  const orders = messages.map(({ body, tx: own }) => ({ body, orderId: uuid("order_id", body.orderId), tx: own }));
  const undecided = await findUndecided(
    tx.sql,
    orders.map(({ orderId }) => orderId),
  );
  const told = orders.flatMap(({ body, orderId, tx: own }): Told[] => {
    if (body.holdId) return [{ holdId: uuid("hold_id", body.holdId), orderId, verdict: "commit", tx: own }];
    const holdId = undecided.get(orderId);
    return holdId ? [{ holdId, orderId, verdict: "abort", tx: own }] : [];
  });
  await settle(app, tx, told);
}
