import {
  GetOrderResponseSchema,
  OrderStatus,
  PlaceOrderResponseSchema,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { until } from "../../scripts/servers/until.ts";
import { type Client, must } from "./client.ts";
import { checkout } from "./load.ts";
import type { Shop } from "./shop.ts";

/** One order placed, paid, cooked and handed over; resolves with its id when it is COMPLETED. The first product wants the kitchen, and its staff works. */
export async function oneOrder(client: Client, { customers, products }: Shop): Promise<string> {
  const [customer, product] = [customers[0], products[0]];
  if (!customer || !product) throw new Error("expected a shop with a customer and a product");
  const { token } = customer;
  const body = { requestId: crypto.randomUUID(), lines: [{ productId: product.productId, quantity: 1 }] };
  const placed = { method: "POST", path: "/v1/orders", token, body } as const;
  const { order } = await must(client.ask(PlaceOrderResponseSchema, placed));
  const orderId = order?.orderId ?? "";
  const page = await checkout(client, customer, orderId);
  if (!page) throw new Error(`order ${orderId} could not be paid`);
  await client.submit(page, { outcome: "succeeded" });
  const asked = { method: "GET", path: `/v1/orders/${orderId}`, token } as const;
  await until(`order ${orderId} is completed`, async () => {
    const now = await must(client.ask(GetOrderResponseSchema, asked));
    return now.order?.status === OrderStatus.COMPLETED;
  });
  return orderId;
}
