import { Code } from "@connectrpc/connect";
import type { CancelOrderRequest } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import { cancel } from "./move-order.ts";
import { orderMessage } from "./order.ts";
import { lockOrders } from "./store.ts";

export async function cancelOrder(app: App, caller: Caller, { orderId }: CancelOrderRequest) {
  return app.transact(async (tx) => {
    const [order] = (await lockOrders(tx.sql, [orderId])).values();
    const own = order?.customerId === caller.userId;
    if (!order || !(own || caller.admin)) throw notFound("order", orderId);
    if (order.status === "CANCELLED") return { order: orderMessage(order) };
    if (order.status === "PAID" && !caller.admin) {
      throw refused(
        Code.FailedPrecondition,
        "ORDER_PAID",
        `order ${orderId} is paid: only an admin can cancel it and refund you`,
      );
    }
    const cancelled = await cancel(app, tx, order, own ? "CUSTOMER" : "ADMIN", {
      cause: "CancelOrder",
      actor: caller.userId,
    });
    return { order: orderMessage(cancelled) };
  });
}
