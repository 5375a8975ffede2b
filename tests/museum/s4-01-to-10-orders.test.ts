// What the main seed's order and product services did to their customers. Each test begins with it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { MailService } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import {
  CancelReason,
  OrderService,
  OrderStatus,
  Reservation,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { paymentRoutes } from "../../services/payment/routes.ts";
import {
  addCustomer,
  addProduct,
  differences,
  handOver,
  mailsAbout,
  orderNow,
  pay,
  place,
  stockOf,
} from "../kit/customers.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(60_000);
const HOUR_MS = 3_600_000;

let system: System;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  ann = await addCustomer(system);
});
afterAll(() => system.close());

test("s4-01 reminders come late: they come at 4, 12 and 22 hours, not at 4, 8 and 16", async () => {
  // The seed promised 4, 12 and 22 hours, and its constants said 4, 8 and 16.
  const { orderId } = await place(system, ann, await addProduct(system, { sku: "s4-01" }));
  await system.settle();
  const came: number[] = [];
  for (let hour = 1; hour < 24; hour++) {
    const before = await remindersOf(orderId);
    await system.advance(HOUR_MS);
    if ((await remindersOf(orderId)) > before) came.push(hour);
  }
  expect(came).toEqual([4, 12, 22]);
});

test("s4-02 only the first reminder is ever sent: all three are, and none after payment", async () => {
  // The seed's producer returned after its first publish: of three reminders one was ever sent.
  const productId = await addProduct(system, { sku: "s4-02" });
  const [forgotten, paid] = [await place(system, ann, productId), await place(system, ann, productId)];
  await system.settle();
  await system.advance(4 * HOUR_MS);
  await system.advance(8 * HOUR_MS);
  await pay(system, ann, paid.orderId);
  await system.settle();
  await system.advance(10 * HOUR_MS);
  expect(await remindersIn(forgotten.orderId)).toHaveLength(3);
  expect(await remindersIn(paid.orderId)).toHaveLength(2);
});

test("s4-03 expiry never restocks: after 24 hours the goods are on the shelf again", async () => {
  // The seed's auto-cancel changed the status and mailed; it told nobody, so the goods were gone for good.
  const productId = await addProduct(system, { sku: "s4-03", stock: 5 });
  const { orderId } = await place(system, ann, productId, 5);
  await system.settle();
  expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 5, available: 0 });
  await system.advance(24 * HOUR_MS);
  expect(await orderNow(system, orderId)).toMatchObject({
    status: OrderStatus.CANCELLED,
    cancelReason: CancelReason.EXPIRED,
    reservation: Reservation.RELEASED,
  });
  expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 0, available: 5 });
  const next = await place(system, ann, productId, 5);
  await system.settle();
  expect((await orderNow(system, next.orderId)).reservation).toBe(Reservation.RESERVED);
});

test("s4-04 cancelling takes the stock a second time: it gives it back, and is told as what it is", async () => {
  // The seed built its cancel producer with the topic of new orders: stock was taken twice.
  const productId = await addProduct(system, { sku: "s4-04", stock: 5 });
  const { orderId } = await place(system, ann, productId, 2);
  await system.settle();
  await system.as(ann, OrderService).cancelOrder({ orderId });
  await system.settle();
  expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 0, available: 5 });
  const told = await system.broker
    .sql`select type from facts where key = ${orderId} and topic = 'order' order by position`;
  expect(told.map(({ type }) => type)).toEqual(["order.created", "order.cancelled"]);
  expect(await differences(system)).toEqual([]);
});

test("s4-05 paying needs no provider: only the provider's signed word pays an order", async () => {
  // The seed's pay call set SUCCESS: no provider, no money.
  const { orderId } = await place(system, ann, await addProduct(system, { sku: "s4-05" }));
  await system.settle();
  const { payment } = await system.as(ann, PaymentService).startPayment({ orderId });
  await system.settle();
  expect(payment?.status).toBe(PaymentStatus.PENDING);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
  const forged = await webhook(payment?.paymentId ?? "", orderId);
  expect(forged.status).toBe(400);
  await system.settle();
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
  await pay(system, ann, orderId);
  await system.settle();
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PAID);
});

test("s4-06 nobody fulfils a paid order: the kitchen does, and then it is completed", async () => {
  // The seed promised PAID and COMPLETED; its code knew neither, nor anybody who would hand anything over.
  const { orderId } = await place(system, ann, await addProduct(system, { sku: "s4-06" }));
  await system.settle();
  await pay(system, ann, orderId);
  await system.settle();
  await handOver(system, orderId);
  const { entries } = await system.as(ann, OrderService).getOrderHistory({ orderId });
  expect(entries.map(({ to }) => to)).toEqual([OrderStatus.PENDING, OrderStatus.PAID, OrderStatus.COMPLETED]);
});

test("s4-07 orders of several lines fail: one of three is placed, priced, reserved and paid", async () => {
  // The seed's insert used the parameters of the first line for every line: the second violated the key.
  const productIds = await addProducts("s4-07", [100n, 20n, 3n]);
  const lines = productIds.map((productId) => ({ productId, quantity: 2 }));
  const { order } = await system.as(ann, OrderService).placeOrder({ requestId: "s4-07", lines });
  expect(order?.lines.map(({ productId, quantity }) => ({ productId, quantity }))).toEqual(lines);
  expect(order?.total?.minorUnits).toBe(246n);
  await system.settle();
  await pay(system, ann, order?.orderId ?? "");
  await system.settle();
  expect(await orderNow(system, order?.orderId ?? "")).toMatchObject({
    status: OrderStatus.PAID,
    reservation: Reservation.COMMITTED,
  });
});

test("s4-08 quantities go by the order of rows: each product loses what its own line says", async () => {
  // The seed matched the request's lines with the rows of a query by position: the burgers' count was taken from the chips.
  const productIds = await addProducts("s4-08", [1n, 10n, 100n, 1_000n]);
  const quantities = new Map(productIds.map((productId, index) => [productId, index + 1]));
  for (const order of [productIds, productIds.toReversed()]) {
    const lines = order.map((productId) => ({ productId, quantity: quantities.get(productId) ?? 0 }));
    const placed = await system.as(ann, OrderService).placeOrder({ requestId: system.random.id(), lines });
    expect(placed.order?.total?.minorUnits).toBe(4_321n);
  }
  await system.settle();
  for (const [productId, quantity] of quantities)
    expect((await stockOf(system, productId)).reserved).toBe(2 * quantity);
});

test("s4-09 an admin's update overwrites what is reserved: price and stock change, promises stay", async () => {
  // The seed's product update carried a quantity, which replaced the count that orders had lowered: sold goods were sold again.
  const productId = await addProduct(system, { sku: "s4-09", stock: 10, price: 450n });
  const placed = await place(system, ann, productId, 4);
  await system.settle();
  const products = system.as("admin", ProductService);
  const { product } = await products.getProduct({ productId });
  const expectedVersion = product?.version ?? 0n;
  const price = { currencyCode: "EUR", minorUnits: 500n };
  await products.updateProduct({ productId, expectedVersion, price });
  const stock = system.as("admin", StockService);
  await stock.adjustStock({ requestId: "s4-09", productId, delta: 3, reason: "found three" });
  await system.settle();
  expect(await stockOf(system, productId)).toEqual({ onHand: 13, reserved: 4, available: 9 });
  expect((await orderNow(system, placed.orderId)).total?.minorUnits).toBe(1_800n);
  await expect(stock.adjustStock({ requestId: "short", productId, delta: -10, reason: "lost ten" })).rejects.toThrow();
  // A second admin who still looks at the old price does not win over the first.
  await expect(products.updateProduct({ productId, expectedVersion, name: "old" })).rejects.toThrow(/expected version/);
  await system.as(ann, OrderService).cancelOrder({ orderId: placed.orderId });
  await system.settle();
  expect(await stockOf(system, productId)).toEqual({ onHand: 13, reserved: 0, available: 13 });
});

test("s4-10 two customers with one request_id, and the second is answered 500: each gets an order", async () => {
  // The seed's request_id was unique over all customers, and its lookup was not: the second customer ran into the constraint.
  const productId = await addProduct(system, { sku: "s4-10" });
  const bob = await addCustomer(system, "bob");
  const of = (who: User) =>
    system.as(who, OrderService).placeOrder({ requestId: "1", lines: [{ productId, quantity: 1 }] });
  const [anns, bobs, again] = [await of(ann), await of(bob), await of(ann)];
  expect(anns.order?.customerId).toBe(ann.userId);
  expect(bobs).toMatchObject({ replayed: false, order: { customerId: bob.userId } });
  expect(again).toMatchObject({ replayed: true, order: { orderId: anns.order?.orderId } });
});

async function remindersOf(orderId: string): Promise<number> {
  return (await mailsAbout(system, orderId)).filter((template) => template === "payment_reminder").length;
}

/** What the mail server was handed, as an admin sees it. */
async function remindersIn(orderId: string) {
  const { mails } = await system.as("admin", MailService).listMails({ orderId });
  return mails.filter(({ template, sentAt }) => template === "payment_reminder" && sentAt);
}

async function addProducts(sku: string, prices: bigint[]): Promise<string[]> {
  const ids: string[] = [];
  for (const price of prices) ids.push(await addProduct(system, { sku: `${sku}-${price}`, price, stock: 100 }));
  return ids;
}

/** What a customer could send who wants to have paid. */
async function webhook(paymentId: string, orderId: string): Promise<Response> {
  const data = { payment_id: paymentId, provider_reference: "x", order_id: orderId, currency_code: "EUR" };
  const body = JSON.stringify({
    id: "event_1",
    type: "checkout.captured",
    data: { ...data, minor_units: "450", reason: "" },
  });
  const seconds = Math.floor(system.clock.now().getTime() / 1_000);
  const headers = { "content-type": "application/json", "bodega-signature": `t=${seconds},v1=${"0".repeat(64)}` };
  // App is generic in its configuration; this one is payment's.
  return paymentRoutes(system.app("payment") as App<never>).request("/webhooks/embedded", {
    method: "POST",
    body,
    headers,
  });
}
