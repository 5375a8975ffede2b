import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { type System, startSystem } from "../../tests/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["order"] });
});
afterAll(() => system.close());

test("an order is priced from the catalogue, placed once per key, and answered alike when asked again", async () => {
  const productId = system.random.id();
  await system.app("order").sql`
    insert into catalogue (product_id, name, currency_code, price_minor_units, prepared, archived, version) values (${productId}, 'Burger', 'EUR', 450, true, false, 1)`;
  const customer = system.newCustomer();
  const orders = system.as(customer, OrderService);
  const asked = {
    requestId: "one",
    lines: [
      { productId, quantity: 2 },
      { productId, quantity: 1 },
    ],
  };
  const answers = await Promise.all(Array.from({ length: 50 }, () => orders.placeOrder(asked)));
  const ids = new Set(answers.map(({ order }) => order?.orderId));
  expect(ids.size).toBe(1);
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  const [first] = answers;
  expect(first?.order?.total).toMatchObject({ currencyCode: "EUR", minorUnits: 1350n });
  expect(first?.order?.lines).toHaveLength(1);
  const { order } = await orders.getOrder({ orderId: first?.order?.orderId ?? "" });
  expect(order?.status).toBe(OrderStatus.PENDING);
  expect((await orders.listOrders({})).orders).toHaveLength(1);
  await system.settle();
});
