import { type ListOrdersRequest, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { type Caller, ownerOf } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { listPlaces } from "../../packages/service/places.ts";
import { stateOf } from "../../packages/service/states.ts";
import { type Order, orderMessage } from "./order.ts";
import { listOrders as list } from "./store.ts";

export async function listOrders(app: App, caller: Caller, req: ListOrdersRequest) {
  const customerId = ownerOf(caller);
  const filter = { customerId, status: stateOf(OrderStatus, req.status) };
  const places = customerId === null ? app.everywhere() : [app.atCustomer(customerId)];
  const idOf = ({ orderId }: Order) => orderId;
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (before, rowsMax) => listPlaces(places, (sql) => list(sql, { ...filter, before }, rowsMax), idOf, rowsMax),
    idOf,
  );
  return { orders: page.map(orderMessage), nextPageToken };
}
