import { OrderCreated } from "../../packages/api/facts.ts";
import { type PlaceOrderRequest, PlaceOrderResponseSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentDeadline } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { catalogue } from "./catalogue.ts";
import { insertMove } from "./history-store.ts";
import { deadlineAt, needsKitchen, newOrder, orderMessage, priceLines, refuseOtherTotal } from "./order.ts";
import { insertOrder } from "./store.ts";

export async function placeOrder(app: App, caller: Caller, req: PlaceOrderRequest) {
  const products = await catalogue(
    app,
    req.lines.map(({ productId }) => productId),
  );
  return app.recordOnce(caller, PlaceOrderResponseSchema, req, (tx) => {
    const now = app.clock.now();
    const order = newOrder(app.random.idFor(caller.userId), caller.userId, priceLines(products, req.lines, now), now);
    if (req.expectedTotal) refuseOtherTotal(order, req.expectedTotal);
    const message = orderMessage(order);
    insertOrder(tx, order, needsKitchen(order));
    insertMove(tx, order, { from: null, to: "PENDING", cause: "PlaceOrder", actor: caller.userId }, now);
    tx.emit(OrderCreated, message);
    tx.enqueue(PaymentDeadline, { orderId: order.orderId, step: 0 }, { at: deadlineAt(now, 0) });
    return { order: message };
  });
}
