import type { GetOrderRequest } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { type Caller, ownerOf } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { type Order, orderMessage } from "./order.ts";
import { findOrder } from "./store.ts";

export async function getOrder(app: App, caller: Caller, { orderId }: GetOrderRequest) {
  return { order: orderMessage(await requireOrder(app, caller, orderId)) };
}

/** An order the caller may see; another's is as good as none. */
export async function requireOrder(app: App, caller: Caller, orderId: string): Promise<Order> {
  const order = await findOrder(app.at(orderId).sql, orderId, ownerOf(caller));
  if (!order) throw notFound("order", orderId);
  return order;
}
