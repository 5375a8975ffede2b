import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { CancelReason, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { addCustomer, addProduct, orderNow, pay, place, reserved } from "../../tests/kit/customers.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { sweepOrders } from "./sweep-orders.ts";

setDefaultTimeout(60_000);
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

test("an order whose timer is lost or parked ends all the same: unpaid it expires, paid it is completed", async () => {
  const productId = await addProduct(system, { sku: "sweep-book", prepared: false });
  const customer = await addCustomer(system);
  const unpaid = await reserved(system, customer, productId);
  const paid = await reserved(system, customer, productId);
  await pay(system, customer, paid);
  await system.settle();
  expect(await loseTimers()).toBe(2);
  await system.advance(DAY_MS + MINUTE_MS + 1);
  expect((await orderNow(system, unpaid)).status).toBe(OrderStatus.PENDING);
  await sweepOrders(system.app("order"));
  await system.settle();
  const ended = await orderNow(system, unpaid);
  expect([ended.status, ended.cancelReason]).toEqual([OrderStatus.CANCELLED, CancelReason.EXPIRED]);
  expect((await orderNow(system, paid)).status).toBe(OrderStatus.COMPLETED);
});

test("who has a timer, is not over, or waits for the kitchen gets none", async () => {
  const [burger, book] = [
    await addProduct(system, { sku: "sweep-burger" }),
    await addProduct(system, { sku: "sweep-map", prepared: false }),
  ];
  const customer = await addCustomer(system);
  const cooking = await reserved(system, customer, burger);
  await pay(system, customer, cooking);
  await system.settle();
  await loseTimers();
  await system.advance(DAY_MS + MINUTE_MS + 1);
  await place(system, customer, book);
  await system.settle();
  const before = await timers();
  await sweepOrders(system.app("order"));
  expect(await timers()).toBe(before);
});

async function timers(): Promise<number> {
  const [row] = await system.app("order").sql<{ count: number }[]>`
    select count(*)::int as count from jobs where type = 'order.payment-deadline'`;
  return row?.count ?? 0;
}

async function loseTimers(): Promise<number> {
  const lost = await system.app("order").sql`delete from jobs where type = 'order.payment-deadline'`;
  return lost.count;
}
