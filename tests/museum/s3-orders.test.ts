// What seed 3's services for a kitchen got wrong. Each test begins with it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { OrderPaid, PaymentCaptured } from "../../packages/api/facts.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { addCustomer, addProduct, orderNow, pay, place, reserved, stockOf } from "../kit/customers.ts";
import { collectFacts, factMessage, tell } from "../kit/messages.ts";
import { refusal } from "../kit/refusal.ts";
import { startSecondInstance } from "../kit/second-instance.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  ann = await addCustomer(system);
});
afterAll(() => system.close());

const ticketsOf = async (orderId: string) =>
  (await system.as("kitchen", KitchenService).listTickets({ orderId })).tickets;

test("s3-01 stock is looked at and never taken, and what is unknown passes: it is held, and what is unknown is refused", async () => {
  const productId = await addProduct(system, { sku: "s3-01", stock: 5 });
  await reserved(system, ann, productId, 3);
  expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 3, available: 2 });
  const { orderId } = await place(system, ann, productId, 3);
  await system.settle();
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
  const lines = [{ productId: system.random.id(), quantity: 1 }];
  const unknown = system.as(ann, OrderService).placeOrder({ requestId: "s3-01", lines });
  expect(await refusal(unknown)).toMatchObject({ code: Code.InvalidArgument });
});

test("s3-02 a service that is down loses what it was told, and two of it cook twice; s3-03 a retry is told to everybody", async () => {
  const productId = await addProduct(system, { sku: "s3-02" });
  const told = await collectFacts(system, [OrderPaid]);
  const second = await startSecondInstance(system);
  try {
    const orderId = await reserved(system, ann, productId);
    await pay(system, ann, orderId);
    await system.settle();
    expect(await ticketsOf(orderId)).toHaveLength(1);
    expect(told.filter(({ key }) => key === orderId)).toHaveLength(1);
  } finally {
    await second.close();
  }
});

test("s3-04 a provider that fails leaves an order with an empty link: there is a link, or a refusal", async () => {
  const productId = await addProduct(system, { sku: "s3-04", stock: 1 });
  const orderId = await reserved(system, ann, productId);
  const { payment } = await system.as(ann, PaymentService).startPayment({ orderId });
  expect(payment?.checkoutUrl).toStartWith("http");
  await system.as(ann, OrderService).cancelOrder({ orderId });
  expect(await refusal(system.as(ann, PaymentService).startPayment({ orderId }))).toMatchObject({
    code: Code.FailedPrecondition,
  });
});

test("s3-05 a late word that it was paid overwrites what the order has become: it changes nothing", async () => {
  const productId = await addProduct(system, { sku: "s3-05", prepared: false });
  const orderId = await reserved(system, ann, productId);
  await pay(system, ann, orderId);
  await system.settle();
  await system.advance(24 * 3_600_000);
  const done = await orderNow(system, orderId);
  expect(done.status).toBe(OrderStatus.COMPLETED);
  const { payments } = await system.as(ann, PaymentService).listPayments({});
  const paid = payments.find((payment) => payment.orderId === orderId);
  const late = factMessage(system, PaymentCaptured, {
    ...{ paymentId: paid?.paymentId ?? "", orderId },
    ...(paid?.amount && { amount: paid.amount }),
  });
  await tell(system, late, late);
  await system.settle();
  expect(await orderNow(system, orderId)).toEqual(done);
});
