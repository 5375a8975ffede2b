import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type GetOrderHistoryRequest, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { requireOrder } from "./get-order.ts";
import { listHistory } from "./history-store.ts";

export async function getOrderHistory(app: App, caller: Caller, { orderId }: GetOrderHistoryRequest) {
  await requireOrder(app, caller, orderId);
  const rows = await listHistory(app.at(orderId).sql, orderId);
  return {
    entries: rows.map(({ from_status, to_status, cause, actor, trace_id, at }) => ({
      from: from_status ? OrderStatus[from_status] : OrderStatus.UNSPECIFIED,
      to: OrderStatus[to_status],
      cause,
      actor,
      traceId: trace_id,
      at: timestampFromDate(at),
    })),
  };
}
