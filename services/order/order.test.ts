import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { ProductUpdated } from "../../packages/api/facts.ts";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { SendPaymentReminder } from "../../packages/api/jobs.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { factMessage } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

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

test("after an outage of many hours only the newest reminder is asked for", async () => {
  const reminders: number[] = [];
  system.platform.jobs.receive("mail", async (batch) => {
    for (const { body } of batch) reminders.push(fromBinary(SendPaymentReminder.schema, body).reminder);
  });
  const productId = system.random.id();
  await system.app("order").sql`
    insert into catalogue (product_id, name, currency_code, price_minor_units, prepared, archived, version) values (${productId}, 'Soup', 'EUR', 450, true, false, 1)`;
  await system.as(system.newCustomer(), OrderService).placeOrder({
    requestId: "forgotten",
    lines: [{ productId, quantity: 1 }],
  });
  // The steps at 4 and at 12 hours are over when somebody looks.
  await system.advance(13 * 3_600_000);
  expect(reminders.at(-1)).toBe(2);
  expect(reminders.filter((reminder) => reminder === 1)).toHaveLength(0);
});

test("what is heard of a product late does not undo what was heard before: orders are priced by the newest version", async () => {
  const productId = system.random.id();
  const told = (version: bigint, minorUnits: bigint) =>
    factMessage(system, ProductUpdated, {
      ...{ productId, sku: "late", name: "Late", prepared: true, version },
      price: { currencyCode: "EUR", minorUnits },
    });
  await system.platform.events.publish([told(3n, 300n), told(2n, 200n)]);
  const priced = async () =>
    (
      await system.app("order").sql`select price_minor_units as price from catalogue where product_id = ${productId}`
    )[0]?.["price"];
  const heard = async () => (await system.app("order").sql`select from inbox`).length;
  await eventually(async () => (await heard()) >= 2);
  expect(await priced()).toBe(300n);
});
