// Money that was given back counts as given back everywhere: in the order, in the kitchen, in points.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OrderCompleted, PaymentRefunded, PaymentRefundReversed } from "../../packages/api/facts.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { CancelReason, OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import {
  addCustomer,
  addProduct,
  differences,
  handOver,
  mailsAbout,
  orderNow,
  pay,
  reserved,
  stockOf,
} from "../kit/customers.ts";
import { factMessage, tell } from "../kit/messages.ts";
import { refusal } from "../kit/refusal.ts";
import { customerWith, payWithPoints, pointsOf } from "../kit/services/points.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(120_000);
const DAY_MS = 86_400_000;
const EUR = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });

let system: System;
let burger: string;
beforeAll(async () => {
  system = await startSystem();
  burger = await addProduct(system, { sku: "net-burger", price: 1_000n, stock: 100 });
});
afterAll(() => system.close());

test("an order of which all money went back before it was handed over ends: no food, no points, the goods are back", async () => {
  const ann = await addCustomer(system);
  const before = await stockOf(system, burger);
  const { orderId, paymentId } = await paid(ann, burger);
  await refund(paymentId);
  const order = await orderNow(system, orderId);
  expect([order.status, order.cancelReason]).toEqual([OrderStatus.CANCELLED, CancelReason.REFUNDED]);
  expect(order.refunded).toMatchObject(EUR(1_000n));
  const kitchen = system.as("kitchen", KitchenService);
  const { tickets } = await kitchen.listTickets({ orderId });
  expect((await refusal(kitchen.handOver({ ticketId: tickets[0]?.ticketId ?? "" }))).reason).toBe("ILLEGAL_MOVE");
  expect(await stockOf(system, burger)).toEqual(before);
  expect(await differences(system)).toEqual([]);
  expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
  expect(await mailsAbout(system, orderId)).toEqual([
    "order_received",
    "payment_received",
    "refund",
    "order_cancelled",
  ]);
});

test("what needs no kitchen ends too", async () => {
  const ann = await addCustomer(system);
  const book = await addProduct(system, { sku: "net-book", price: 700n, prepared: false });
  const { orderId, paymentId } = await paid(ann, book);
  await refund(paymentId);
  expect((await orderNow(system, orderId)).cancelReason).toBe(CancelReason.REFUNDED);
});

test("a part that went back is shown, and the order goes on and earns on the rest", async () => {
  const ann = await addCustomer(system);
  const { orderId, paymentId } = await paid(ann, burger);
  await refund(paymentId, 400n);
  expect(await orderNow(system, orderId)).toMatchObject({ status: OrderStatus.PAID, refunded: EUR(400n) });
  await handOver(system, orderId);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
  expect(await pointsOf(system, ann)).toEqual([6n, 0n]);
});

test("money that goes back after the end takes the points with it, part by part", async () => {
  const ann = await addCustomer(system);
  const { orderId, paymentId } = await paid(ann, burger);
  await handOver(system, orderId);
  expect(await pointsOf(system, ann)).toEqual([10n, 0n]);
  await refund(paymentId, 250n);
  expect(await pointsOf(system, ann)).toEqual([7n, 0n]);
  await refund(paymentId);
  expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
  const { differences: found } = await system.as("admin", PointsService).reconcile({});
  expect(found).toEqual([]);
});

test("points that are spent or held meanwhile stay: an account never owes any", async () => {
  const ann = await addCustomer(system);
  const { orderId, paymentId } = await paid(ann, burger);
  await handOver(system, orderId);
  const cheap = await addProduct(system, { sku: "net-gum", price: 8n, prepared: false });
  await payWithPoints(system, ann, await reserved(system, ann, cheap));
  await system.settle();
  await refund(paymentId);
  expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
});

test("whichever is heard first, the refund or the completion, and however often: the points are the same", async () => {
  for (const order of ["refund first", "completion first"]) {
    const ann = await addCustomer(system);
    const [orderId, paymentId] = [system.random.id(), system.random.id()];
    const refunded = factMessage(system, PaymentRefunded, {
      ...{ paymentId, orderId, customerId: ann.userId },
      amount: EUR(300n),
      kept: EUR(700n),
    });
    const total = EUR(1_000n);
    const completed = factMessage(system, OrderCompleted, { orderId, customerId: ann.userId, total, paymentId });
    const both = order === "refund first" ? [refunded, completed] : [completed, refunded];
    for (const message of [...both, ...both]) await tellPoints(message);
    expect(await pointsOf(system, ann)).toEqual([7n, 0n]);
    const came = { ...{ paymentId, orderId, customerId: ann.userId }, amount: EUR(300n), kept: total };
    await tellPoints(factMessage(system, PaymentRefundReversed, came));
    expect(await pointsOf(system, ann)).toEqual([10n, 0n]);
  }
  expect((await system.as("admin", PointsService).reconcile({})).differences).toEqual([]);
});

test("a bank that takes what was given back already takes no points that were not earned", async () => {
  const ann = await addCustomer(system);
  const [orderId, paymentId] = [system.random.id(), system.random.id()];
  const about = { paymentId, orderId, customerId: ann.userId };
  const total = EUR(1_000n);
  await tellPoints(factMessage(system, OrderCompleted, { orderId, customerId: ann.userId, total, paymentId }));
  await tellPoints(factMessage(system, PaymentRefunded, { ...about, amount: EUR(1_000n), kept: EUR(0n) }));
  await tellPoints(factMessage(system, PaymentRefunded, { ...about, amount: EUR(1_000n), kept: EUR(-1_000n) }));
  expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
  await tellPoints(factMessage(system, PaymentRefundReversed, { ...about, amount: EUR(1_000n), kept: EUR(0n) }));
  await tellPoints(factMessage(system, PaymentRefundReversed, { ...about, amount: EUR(1_000n), kept: total }));
  expect(await pointsOf(system, ann)).toEqual([10n, 0n]);
});

test("points are worth something in one currency: money of another earns none, and they do not pay for it", async () => {
  const rich = await customerWith(system, 10_000n);
  const rupiah = { currencyCode: "IDR", minorUnits: 1_000n };
  const { product } = await system.as("admin", ProductService).createProduct({
    ...{ requestId: "net-idr", sku: "net-idr", name: "nasi", price: rupiah, initialStock: 10 },
  });
  await system.settle();
  const productId = product?.productId ?? "";
  const orderId = await reserved(system, rich, productId);
  expect((await refusal(payWithPoints(system, rich, orderId))).reason).toBe("POINTS_CURRENCY");
  await pay(system, rich, orderId);
  await system.settle();
  await system.advance(DAY_MS);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
  expect(await pointsOf(system, rich)).toEqual([10_000n, 0n]);
});

test("an admin takes points back, once per request, and never those that are held", async () => {
  const ann = await customerWith(system, 100n);
  const points = system.as("admin", PointsService);
  const take = (requestId: string, amount: bigint) =>
    points.grantPoints({ requestId, userId: ann.userId, amount, reason: "a mistake" });
  expect(await take("net-take", -30n)).toMatchObject({ balance: 70n });
  expect(await take("net-take", -30n)).toMatchObject({ balance: 70n });
  const told = await refusal(take("net-take-2", -71n));
  expect([told.reason, told.message]).toEqual([
    "NOT_ENOUGH_POINTS",
    `user ${ann.userId}: expected 71 points to take back, found 70 available`,
  ]);
  const { entries } = await points.listEntries({ userId: ann.userId });
  expect(entries.map(({ balanceDelta, reason }) => [balanceDelta, reason])).toEqual([
    [-30n, "a mistake"],
    [100n, "a present"],
  ]);
  expect((await points.reconcile({})).differences).toEqual([]);
});

test("an order of 0.00 pays itself, and is made", async () => {
  const ann = await addCustomer(system);
  const tap = await addProduct(system, { sku: "net-water", price: 0n });
  const orderId = await reserved(system, ann, tap);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PAID);
  await handOver(system, orderId);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
});

test("prices that moved since they were shown refuse the order, and say the new total", async () => {
  const ann = await addCustomer(system);
  const place = (expectedTotal: { currencyCode: string; minorUnits: bigint }) =>
    system.as(ann, OrderService).placeOrder({
      ...{ requestId: system.random.id(), lines: [{ productId: burger, quantity: 2 }], expectedTotal },
    });
  expect((await place(EUR(2_000n))).order?.total).toMatchObject(EUR(2_000n));
  const told = await refusal(place(EUR(1_999n)));
  expect([told.reason, told.message]).toEqual([
    "PRICES_CHANGED",
    "the total is 2000 EUR minor units now, not 1999 EUR",
  ]);
  expect((await refusal(place({ currencyCode: "USD", minorUnits: 2_000n }))).reason).toBe("PRICES_CHANGED");
});

async function paid(customer: User, productId: string): Promise<{ orderId: string; paymentId: string }> {
  const orderId = await reserved(system, customer, productId);
  const paymentId = await pay(system, customer, orderId);
  await system.settle();
  return { orderId, paymentId };
}

async function refund(paymentId: string, minorUnits?: bigint): Promise<void> {
  const amount = minorUnits === undefined ? {} : { amount: EUR(minorUnits) };
  const requestId = system.random.id();
  await system.as("admin", PaymentService).refundPayment({ requestId, paymentId, reason: "a complaint", ...amount });
  await system.settle();
}

/** To points alone: there is no such order for anybody else. */
async function tellPoints(message: Parameters<typeof tell>[1]): Promise<void> {
  await tell(system, message);
  await system.settle();
}
