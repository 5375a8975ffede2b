import type { WatchOrderRequest } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { requireOrder } from "./get-order.ts";
import { MOVES, orderMessage } from "./order.ts";

export async function* watchOrder(app: App, caller: Caller, { orderId }: WatchOrderRequest, signal: AbortSignal) {
  for (let seen = 0n; !signal.aborted; ) {
    const changed = app.watch.next(orderId, signal);
    const order = await requireOrder(app, caller, orderId);
    if (order.version > seen) yield { order: orderMessage(order) };
    if (MOVES[order.status].length === 0) return;
    seen = order.version;
    await changed;
  }
}
