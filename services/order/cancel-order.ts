import { Code } from "@connectrpc/connect";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { CancelOrderRequest } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound, refused } from "../../packages/service/errors.ts";
import { cancel } from "./move-order.ts";
import { needsKitchen, type Order, orderMessage } from "./order.ts";
import { lockOrders } from "./store.ts";

/**
 * What the kitchen makes may be handed over at this very moment, and its ticket decides: it is cancelled first, outside any transaction. Should we be
 * interrupted after that, ticket.cancelled brings the order to its end.
 */
export async function cancelOrder(app: App, caller: Caller, req: CancelOrderRequest) {
  if (req.withoutRestock && !caller.admin) throw invalidField("without_restock", "is for an admin to decide");
  let cancelled = await app.at(req.orderId).transact((tx) => tryCancel(app, tx, caller, req, false));
  if (!cancelled) {
    await app.call(KitchenService).cancelTicket({ orderId: req.orderId });
    cancelled = await app.at(req.orderId).transact((tx) => tryCancel(app, tx, caller, req, true));
  }
  if (!cancelled) throw new Error(`order ${req.orderId} still asks for its ticket after that was cancelled`);
  return { order: orderMessage(cancelled) };
}

/** Undefined when the kitchen is to be asked first. */
async function tryCancel(
  app: App,
  tx: Tx,
  caller: Caller,
  { orderId, withoutRestock }: CancelOrderRequest,
  ticketCancelled: boolean,
): Promise<Order | undefined> {
  const [order] = (await lockOrders(tx.sql, [orderId])).values();
  const own = order?.customerId === caller.userId;
  if (!order || !(own || caller.admin)) throw notFound("order", orderId);
  if (order.status === "CANCELLED") return order;
  if (order.status === "PAID" && !caller.admin) {
    throw refused(
      Code.FailedPrecondition,
      "ORDER_PAID",
      `order ${orderId} is paid: only an admin can cancel it and refund you`,
    );
  }
  if (order.status === "PAID" && needsKitchen(order) && !ticketCancelled) return undefined;
  const why = { cause: "CancelOrder", actor: caller.userId };
  const cancelled = await cancel(app, tx, order, { reason: own ? "CUSTOMER" : "ADMIN", withoutRestock }, why);
  if (!own) audit(app, tx, caller, { subject: orderId, orderId, ...(withoutRestock && { detail: "without restock" }) });
  return cancelled;
}
