import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { stop } from "./cancel-ticket.ts";
import type { KitchenConfig } from "./config.ts";

/** Never paid: no ticket was and none will be. */
export async function onOrderCancelled(app: App<KitchenConfig>, { body, tx }: Message<OrderCancelled>): Promise<void> {
  if (body.wasPaid) await stop(app, tx, body.orderId);
}
