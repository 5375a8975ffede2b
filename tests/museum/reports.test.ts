// Public reports about other order, payment, account and mail systems, tried here. Each is named after what went wrong there; what was found wrong here too is
// mended, and stays so. The stories of a whole kind are beside the code or in tests/stories; a report has its own words for it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { addCustomer, addProduct, cook, orderNow, pay, place, playProvider, reserved } from "../kit/customers.ts";
import { refusal } from "../kit/refusal.ts";
import { pointsOf } from "../kit/services/points.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(120_000);
const DAY_MS = 86_400_000;

let system: System;
let soup: string;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  soup = await addProduct(system, { sku: "report-soup", price: 1_000n, stock: 20_000 });
  ann = await addCustomer(system);
});
afterAll(() => system.close());

test("an order was cancelled and refunded while it was being handed over: one of both is refused", async () => {
  const orderId = await paid();
  const ticketId = await cook(system, orderId);
  const outcomes = await Promise.allSettled([
    system.as("kitchen", KitchenService).handOver({ ticketId }),
    system.as("admin", OrderService).cancelOrder({ orderId }),
  ]);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a refunded order went on, was delivered and earned loyalty points: it ends, and earns none", async () => {
  const eater = await addCustomer(system);
  const orderId = await paid(eater);
  const { payment } = await system.as(eater, PaymentService).getPayment({ orderId });
  const asked = { requestId: system.random.id(), paymentId: payment?.paymentId ?? "", reason: "complaint" };
  await system.as("admin", PaymentService).refundPayment(asked);
  await system.settle();
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
  expect(await pointsOf(system, eater)).toEqual([0n, 0n]);
});

test("free orders waited for a payment that nobody could make: they are paid by being there", async () => {
  const water = await addProduct(system, { sku: "report-water", price: 0n, prepared: false });
  const orderId = await reserved(system, ann, water);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PAID);
  await system.advance(DAY_MS);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
});

test("a price changed between basket and order, and the customer paid another sum: the order is refused with the new total", async () => {
  const tea = await addProduct(system, { sku: "report-tea", price: 300n });
  const products = system.as("admin", ProductService);
  const { product } = await products.getProduct({ productId: tea });
  const price = { currencyCode: "EUR", minorUnits: 350n };
  await products.updateProduct({ productId: tea, expectedVersion: product?.version ?? 0n, price });
  await system.settle();
  const order = {
    ...{ requestId: system.random.id(), lines: [{ productId: tea, quantity: 1 }] },
    expectedTotal: { currencyCode: "EUR", minorUnits: 300n },
  };
  const told = await refusal(system.as(ann, OrderService).placeOrder(order));
  expect([told.reason, told.message]).toEqual(["PRICES_CHANGED", "the total is 350 EUR minor units now, not 300 EUR"]);
});

test("a single visitor reserved the whole stock without paying: there is an end to it", async () => {
  const greedy = await addCustomer(system);
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => place(system, greedy, soup, 1_000)));
  const placed = outcomes.filter(({ status }) => status === "fulfilled");
  expect(placed.length).toBeGreaterThan(0);
  expect(placed.length).toBeLessThanOrEqual(5);
  const told = await refusal(place(system, greedy, soup, 1_000));
  expect([told.code, told.reason]).toEqual([Code.ResourceExhausted, "TOO_MANY_UNPAID"]);
});

test("an abandoned checkout of a cancelled order could still be paid: it is closed, and late money goes back", async () => {
  const orderId = await reserved(system, ann, soup);
  const { payment } = await system.as(ann, PaymentService).startPayment({ orderId });
  await system.as(ann, OrderService).cancelOrder({ orderId });
  await system.settle();
  const status = async () => (await system.as(ann, PaymentService).getPayment({ orderId })).payment?.status;
  expect(await status()).toBe(PaymentStatus.ABANDONED);
  await playProvider(system, payment?.paymentId ?? "", "succeeded");
  await system.settle();
  expect(await status()).toBe(PaymentStatus.REFUNDED);
});

test("café was not found when its accent came apart from its letter: it is the same name", async () => {
  const cafe = await addProduct(system, { sku: "report-cafe" });
  const products = system.as("admin", ProductService);
  const { product } = await products.getProduct({ productId: cafe });
  await products.updateProduct({ productId: cafe, expectedVersion: product?.version ?? 0n, name: "Report Cafe\u0301" });
  const { products: found } = await products.listProducts({ query: "report caf\u00e9" });
  expect(found.map(({ productId }) => productId)).toEqual([cafe]);
});

async function paid(customer = ann): Promise<string> {
  const orderId = await reserved(system, customer, soup);
  await pay(system, customer, orderId);
  await system.settle();
  return orderId;
}
