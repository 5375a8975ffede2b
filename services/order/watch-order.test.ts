import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["order"] });
});
afterAll(() => system.close());

test("an id in upper case is the same order: its watcher is woken by what happens to it, and its lines are one product", async () => {
  const { sql, watch } = system.app("order");
  const productId = system.random.id();
  await sql`
    insert into catalogue (product_id, name, currency_code, price_minor_units, prepared, archived, version) values (${productId}, 'Burger', 'EUR', 450, true, false, 1)`;
  const orders = system.as(system.newCustomer(), OrderService);
  const { order } = await orders.placeOrder({
    requestId: "upper",
    lines: [
      { productId: productId.toUpperCase(), quantity: 1 },
      { productId, quantity: 1 },
    ],
  });
  const orderId = order?.orderId ?? "";
  expect(order?.lines).toMatchObject([{ productId, quantity: 2 }]);

  const waitedFor: string[] = [];
  const next = watch.next;
  watch.next = (key, signal) => {
    waitedFor.push(key);
    return next(key, signal);
  };
  const seen: (OrderStatus | undefined)[] = [];
  for await (const message of orders.watchOrder({ orderId: orderId.toUpperCase() })) {
    seen.push(message.order?.status);
    if (seen.length === 1) await orders.cancelOrder({ orderId: orderId.toUpperCase() });
  }
  watch.next = next;
  expect(seen).toEqual([OrderStatus.PENDING, OrderStatus.CANCELLED]);
  expect(new Set(waitedFor)).toEqual(new Set([orderId]));
  await system.settle();
});
