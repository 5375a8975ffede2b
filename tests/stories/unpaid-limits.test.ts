// What one customer may keep from others without paying.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { addCustomer, addProduct, pay, place } from "../kit/customers.ts";
import { refusal } from "../kit/refusal.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
const DAY_MS = 86_400_000;

let system: System;
let burger: string;
beforeAll(async () => {
  system = await startSystem({ env: { UNPAID_ORDERS_MAX: "3", UNPAID_UNITS_MAX: "50" } });
  burger = await addProduct(system, { sku: "limit-burger", stock: 10_000 });
});
afterAll(() => system.close());

test("orders at one moment cannot pass the limit together, and nobody else is refused for them", async () => {
  const [greedy, modest] = [await addCustomer(system), await addCustomer(system)];
  const asked = Array.from({ length: 12 }, () => place(system, greedy, burger));
  const others = [place(system, modest, burger), place(system, modest, burger)];
  const placed = (await Promise.allSettled(asked)).filter(({ status }) => status === "fulfilled");
  expect(placed).toHaveLength(3);
  expect(await Promise.all(others)).toHaveLength(2);
  const told = await refusal(place(system, greedy, burger));
  expect([told.code, told.reason]).toEqual([Code.ResourceExhausted, "TOO_MANY_UNPAID"]);
  expect(told.message).toBe(
    `customer ${greedy.userId} would have 4 unpaid orders with 4 units: at most 3 with 50 are allowed, pay or cancel some first`,
  );
});

test("units count too, and a request that was answered is answered again at the limit", async () => {
  const greedy = await addCustomer(system);
  const first = await place(system, greedy, burger, 40, "limit-units");
  expect((await refusal(place(system, greedy, burger, 11))).reason).toBe("TOO_MANY_UNPAID");
  await place(system, greedy, burger, 10);
  expect((await place(system, greedy, burger, 40, "limit-units")).orderId).toBe(first.orderId);
});

test("what is paid, cancelled or expired leaves room", async () => {
  const regular = await addCustomer(system);
  const orders = [];
  for (let index = 0; index < 3; index++) orders.push(await place(system, regular, burger));
  await system.settle();
  const [paid = "", cancelled = ""] = orders.map(({ orderId }) => orderId);
  await pay(system, regular, paid);
  await system.settle();
  await place(system, regular, burger);
  await system.as(regular, OrderService).cancelOrder({ orderId: cancelled });
  await place(system, regular, burger);
  expect((await refusal(place(system, regular, burger))).reason).toBe("TOO_MANY_UNPAID");
  await system.advance(DAY_MS);
  await place(system, regular, burger);
});
