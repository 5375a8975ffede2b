import { type ListOrdersRequest, OrderStatusSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { ownerOf } from "./get-order.ts";
import { orderMessage, type Status } from "./order.ts";
import { listOrders as list } from "./store.ts";

export async function listOrders(app: App, caller: Caller, req: ListOrdersRequest) {
  const filter = { customerId: ownerOf(caller), status: statusOf(req) };
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (before, rowsMax) => list(app.sql, { ...filter, before }, rowsMax),
    ({ orderId }) => orderId,
  );
  return { orders: page.map(orderMessage), nextPageToken };
}

function statusOf({ status }: ListOrdersRequest): Status | null {
  // The enum's local names without the prefix are the states themselves.
  return status === 0 ? null : (OrderStatusSchema.value[status]?.localName as Status);
}
