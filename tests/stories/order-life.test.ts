import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  CancelReason,
  OrderService,
  OrderStatus,
  Reservation,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import {
  addCustomer,
  addProduct,
  differences,
  handOver,
  mailsAbout,
  orderNow,
  pay,
  place,
  playProvider,
  reserved,
  stockOf,
} from "../kit/customers.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

test("in one process every step rings for the next: nothing waits until somebody looks", async () => {
  const unwatched = await startSystem({ pollMs: HOUR_MS });
  const productId = await addProduct(unwatched, { sku: "life-0" });
  const customer = await addCustomer(unwatched);
  const orderId = await reserved(unwatched, customer, productId, 2);
  await pay(unwatched, customer, orderId);
  await unwatched.settle();
  expect(await orderNow(unwatched, orderId)).toMatchObject({
    status: OrderStatus.PAID,
    reservation: Reservation.COMMITTED,
  });
  expect(await mailsAbout(unwatched, orderId)).toEqual(["order_received", "payment_received"]);
  await unwatched.close();
});

describe("the life of an order", () => {
  test("placed, reserved, paid, cooked, handed over, completed, with a mail at every step", async () => {
    const productId = await addProduct(system, { sku: "life-1" });
    const customer = await addCustomer(system);
    const placed = await place(system, customer, productId, 2);
    expect(placed).toMatchObject({ status: OrderStatus.PENDING, reservation: Reservation.AWAITING });
    await system.settle();
    expect((await orderNow(system, placed.orderId)).reservation).toBe(Reservation.RESERVED);
    expect(await stockOf(system, productId)).toEqual({ onHand: 10, reserved: 2, available: 8 });
    await pay(system, customer, placed.orderId);
    await system.settle();
    expect(await orderNow(system, placed.orderId)).toMatchObject({
      status: OrderStatus.PAID,
      reservation: Reservation.COMMITTED,
    });
    expect(await stockOf(system, productId)).toEqual({ onHand: 8, reserved: 0, available: 8 });
    await handOver(system, placed.orderId);
    expect((await orderNow(system, placed.orderId)).status).toBe(OrderStatus.COMPLETED);
    expect(await mailsAbout(system, placed.orderId)).toEqual(["order_received", "payment_received", "order_completed"]);
    const { entries } = await system.as(customer, OrderService).getOrderHistory({ orderId: placed.orderId });
    expect(entries.map(({ to, cause }) => [to, cause])).toEqual([
      [OrderStatus.PENDING, "PlaceOrder"],
      [OrderStatus.PAID, "payment.captured"],
      [OrderStatus.COMPLETED, "ticket.handed_over"],
    ]);
    // A day later nothing more happens.
    await system.advance(25 * HOUR_MS);
    expect(await mailsAbout(system, placed.orderId)).toHaveLength(3);
  });

  test("forgotten: reminded at 4, 12 and 22 hours, cancelled at 24, the stock back", async () => {
    const productId = await addProduct(system, { sku: "life-2", stock: 5 });
    const customer = await addCustomer(system);
    const orderId = await reserved(system, customer, productId, 3);
    expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 3, available: 2 });
    const reminded = () => countMails(orderId, "payment_reminder");
    await system.advance(4 * HOUR_MS - 60_000);
    expect(await reminded()).toBe(0);
    await system.advance(60_000);
    expect(await reminded()).toBe(1);
    await system.advance(8 * HOUR_MS);
    expect(await reminded()).toBe(2);
    await system.advance(10 * HOUR_MS);
    expect(await reminded()).toBe(3);
    await system.advance(2 * HOUR_MS - 60_000);
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
    await system.advance(60_000);
    expect(await orderNow(system, orderId)).toMatchObject({
      status: OrderStatus.CANCELLED,
      cancelReason: CancelReason.EXPIRED,
      reservation: Reservation.RELEASED,
    });
    expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 0, available: 5 });
    expect(await mailsAbout(system, orderId)).toEqual([
      "order_received",
      "payment_reminder",
      "payment_reminder",
      "payment_reminder",
      "order_cancelled",
    ]);
    expect(await differences(system)).toEqual([]);
  });

  test("after an outage of thirteen hours only the newest reminder goes out", async () => {
    const productId = await addProduct(system, { sku: "life-3" });
    const customer = await addCustomer(system);
    const orderId = await reserved(system, customer, productId);
    await system.advance(13 * HOUR_MS);
    expect(await countMails(orderId, "payment_reminder")).toBe(1);
    await system.advance(9 * HOUR_MS);
    expect(await countMails(orderId, "payment_reminder")).toBe(2);
  });

  test("paid goods that no kitchen makes are completed at the 24 hour check", async () => {
    const productId = await addProduct(system, { sku: "mug", prepared: false });
    const customer = await addCustomer(system);
    const orderId = await reserved(system, customer, productId);
    await pay(system, customer, orderId);
    await system.settle();
    await system.advance(23 * HOUR_MS);
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PAID);
    await system.advance(HOUR_MS);
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
    expect(await countMails(orderId, "payment_reminder")).toBe(0);
  });

  test("money that comes for an expired order goes back, once, with a mail", async () => {
    const productId = await addProduct(system, { sku: "life-4" });
    const customer = await addCustomer(system);
    const orderId = await reserved(system, customer, productId);
    const { payment } = await system.as(customer, PaymentService).startPayment({ orderId });
    await system.advance(24 * HOUR_MS);
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
    await playProvider(system, payment?.paymentId ?? "", "succeeded");
    await playProvider(system, payment?.paymentId ?? "", "succeeded");
    await system.settle();
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
    const after = await system.as(customer, PaymentService).getPayment({ orderId });
    expect(after.payment).toMatchObject({ status: PaymentStatus.REFUNDED, refunded: { minorUnits: 450n } });
    expect(await countMails(orderId, "refund")).toBe(1);
    expect(await countMails(orderId, "payment_received")).toBe(0);
  });

  test("an admin cancels a paid order: refund, ticket withdrawn, stock back", async () => {
    const productId = await addProduct(system, { sku: "life-5", stock: 4 });
    const customer = await addCustomer(system);
    const orderId = await reserved(system, customer, productId, 4);
    await pay(system, customer, orderId);
    await system.settle();
    await expect(system.as(customer, OrderService).cancelOrder({ orderId })).rejects.toThrow(/only an admin/);
    const { order } = await system.as("admin", OrderService).cancelOrder({ orderId });
    expect(order).toMatchObject({ status: OrderStatus.CANCELLED, cancelReason: CancelReason.ADMIN });
    await system.settle();
    expect((await system.as(customer, PaymentService).getPayment({ orderId })).payment?.status).toBe(
      PaymentStatus.REFUNDED,
    );
    expect(await stockOf(system, productId)).toEqual({ onHand: 4, reserved: 0, available: 4 });
    expect(await differences(system)).toEqual([]);
    expect(await mailsAbout(system, orderId)).toEqual([
      "order_received",
      "payment_received",
      "order_cancelled",
      "refund",
    ]);
  });

  test("declined, then paid: one order, one mail for each", async () => {
    const productId = await addProduct(system, { sku: "life-6" });
    const customer = await addCustomer(system);
    const orderId = await reserved(system, customer, productId);
    await pay(system, customer, orderId, "declined");
    await system.settle();
    await pay(system, customer, orderId);
    await system.settle();
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PAID);
    expect(await mailsAbout(system, orderId)).toEqual(["order_received", "payment_declined", "payment_received"]);
  });

  test("one request id finds the whole story in the log of every service", async () => {
    const productId = await addProduct(system, { sku: "life-7" });
    const customer = await addCustomer(system);
    const requestId = "story-life-7";
    const { order } = await system
      .as(customer, OrderService)
      .placeOrder(
        { requestId, lines: [{ productId, quantity: 1 }] },
        { headers: { "x-request-id": "edge-life-7", traceparent: `00-${"7".repeat(32)}-${"7".repeat(16)}-01` } },
      );
    await system.advance(24 * HOUR_MS);
    expect((await orderNow(system, order?.orderId ?? "")).status).toBe(OrderStatus.CANCELLED);
    const story = system.lines.filter((line) => line["correlation_id"] === "edge-life-7");
    expect([...new Set(story.map((line) => line["service"]))]).toEqual(
      expect.arrayContaining(["order", "stock", "mail"]),
    );
    expect(new Set(story.map((line) => line["trace_id"]))).toEqual(new Set(["7".repeat(32)]));
  });
});

describe("many at once", () => {
  test("a thousand PlaceOrder with one key: one order, one reservation, the same answer", async () => {
    const productId = await addProduct(system, { sku: "many-1", stock: 2_000 });
    const customer = await addCustomer(system);
    const orders = system.as(customer, OrderService);
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        orders.placeOrder({ requestId: "same", lines: [{ productId, quantity: 1 }] }),
      ),
    );
    const [first] = answers;
    expect(answers.filter(({ order }) => !Bun.deepEquals(order, first?.order))).toEqual([]);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    await system.settle();
    expect(await stockOf(system, productId)).toEqual({ onHand: 2_000, reserved: 1, available: 1_999 });
    const rows = await system.app("order").sql`select from orders where customer_id = ${customer.userId}`;
    expect(rows).toHaveLength(1);
    await expect(orders.placeOrder({ requestId: "same", lines: [{ productId, quantity: 2 }] })).rejects.toThrow(
      /was used for another request/,
    );
    expect(first?.order?.orderId).toBeTruthy();
  });

  test("one unit and two hundred buyers: one reserved, 199 cancelled out of stock, none paid", async () => {
    const productId = await addProduct(system, { sku: "many-2", stock: 1 });
    const customers = await Promise.all(Array.from({ length: 200 }, () => system.newCustomer()));
    for (const customer of customers.slice(0, 200)) await addContact(customer.userId);
    const placed = await Promise.all(customers.map((customer) => place(system, customer, productId)));
    await system.settle();
    const now = await Promise.all(placed.map(({ orderId }) => orderNow(system, orderId)));
    expect(now.filter(({ reservation }) => reservation === Reservation.RESERVED)).toHaveLength(1);
    const losers = now.filter(
      ({ status, cancelReason }) => status === OrderStatus.CANCELLED && cancelReason === CancelReason.OUT_OF_STOCK,
    );
    expect(losers).toHaveLength(199);
    const [loser] = losers;
    const buyer = customers.find(({ userId }) => userId === loser?.customerId);
    await expect(
      system.as(buyer ?? "anonymous", PaymentService).startPayment({ orderId: loser?.orderId ?? "" }),
    ).rejects.toThrow(/CANCELLED/);
    expect(await stockOf(system, productId)).toEqual({ onHand: 1, reserved: 1, available: 0 });
    expect(await differences(system)).toEqual([]);
  });

  test("payment and expiry meet at the deadline: one winner, and the money agrees, whichever comes first", async () => {
    const productId = await addProduct(system, { sku: "many-3", stock: 100 });
    const customer = await addCustomer(system);
    const ids: { orderId: string; paymentId: string }[] = [];
    for (let index = 0; index < 12; index++) {
      const orderId = await reserved(system, customer, productId);
      const { payment } = await system.as(customer, PaymentService).startPayment({ orderId });
      ids.push({ orderId, paymentId: payment?.paymentId ?? "" });
    }
    system.clock.advance(24 * HOUR_MS - 1);
    await system.settle();
    // Some pay just before the clock strikes, some just after, some in the same moment, three copies each.
    const payThrice = ({ paymentId }: { paymentId: string }) =>
      Promise.all([1, 2, 3].map(() => playProvider(system, paymentId, "succeeded")));
    const before = ids.slice(0, 4).map(payThrice);
    system.clock.advance(1);
    const same = ids.slice(4, 8).map(payThrice);
    await Promise.all([...before, ...same]);
    await system.settle();
    await Promise.all(ids.slice(8).map(payThrice));
    await system.settle();
    for (const { orderId, paymentId } of ids) {
      const order = await orderNow(system, orderId);
      const { payment } = await system.as(customer, PaymentService).getPayment({ paymentId });
      if (order.status === OrderStatus.PAID) expect(payment?.status).toBe(PaymentStatus.CAPTURED);
      else {
        expect(order).toMatchObject({ status: OrderStatus.CANCELLED, cancelReason: CancelReason.EXPIRED });
        expect(payment).toMatchObject({ status: PaymentStatus.REFUNDED, refunded: { minorUnits: 450n } });
      }
    }
    for (const { orderId } of ids.slice(8))
      expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
    expect(await differences(system)).toEqual([]);
  });
});

async function addContact(userId: string) {
  await system.app("mail")
    .sql`insert into contacts (user_id, email, display_name) values (${userId}, ${`${userId}@bodega.test`}, 'buyer')`;
}

async function countMails(orderId: string, template: string): Promise<number> {
  return (await mailsAbout(system, orderId)).filter((each) => each === template).length;
}
