// Hand-over and cancellation of one order: the kitchen's ticket decides, and the other side is refused with what was found.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { TicketHandedOver } from "../../packages/api/facts.ts";
import { KitchenService, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { CancelReason, OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { addCustomer, addProduct, cook, differences, orderNow, pay, reserved, stockOf } from "../kit/customers.ts";
import { collectFacts } from "../kit/messages.ts";
import { refusal } from "../kit/refusal.ts";
import { customerWith, payWithPoints } from "../kit/services/points.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(120_000);
const STOCK = 1_000;

let system: System;
let burger: string;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  burger = await addProduct(system, { sku: "winner-burger", stock: STOCK });
  ann = await addCustomer(system);
});
afterAll(() => system.close());

test("what is handed over cannot be cancelled any more, whatever the order has heard of it", async () => {
  const { orderId, ticketId } = await ready();
  await kitchen().handOver({ ticketId });
  const told = await refusal(cancelByAdmin(orderId));
  expect(["TICKET_HANDED_OVER", "ILLEGAL_MOVE"]).toContain(told.reason ?? "");
  await system.settle();
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
  expect((await refusal(cancelByAdmin(orderId))).reason).toBe("ILLEGAL_MOVE");
  expect(await paymentStatus(orderId)).toBe(PaymentStatus.CAPTURED);
});

test("what is cancelled cannot be handed over any more, whatever the kitchen has heard of it", async () => {
  const { orderId, ticketId } = await ready();
  const { order } = await cancelByAdmin(orderId);
  expect(order).toMatchObject({ status: OrderStatus.CANCELLED, cancelReason: CancelReason.ADMIN });
  expect((await refusal(kitchen().handOver({ ticketId }))).reason).toBe("ILLEGAL_MOVE");
  await system.settle();
  expect(await paymentStatus(orderId)).toBe(PaymentStatus.REFUNDED);
});

test("at the same moment one of them wins, twenty times, and the goods are where the winner says", async () => {
  const before = await stockOf(system, burger);
  const handedOver = await collectFacts(system, [TicketHandedOver]);
  const orders = [];
  for (let round = 0; round < 20; round++) orders.push(await ready());
  const won = await Promise.all(
    orders.map(async ({ orderId, ticketId }, round) => {
      const both = [() => kitchen().handOver({ ticketId }), () => cancelByAdmin(orderId)];
      if (round % 2) both.reverse();
      const outcomes = await Promise.allSettled(both.map((each) => each()));
      return outcomes.filter(({ status }) => status === "fulfilled").length;
    }),
  );
  expect(won).toEqual(orders.map(() => 1));
  await system.settle();
  const now = await Promise.all(orders.map(({ orderId }) => orderNow(system, orderId)));
  const completed = now.filter(({ status }) => status === OrderStatus.COMPLETED).map(({ orderId }) => orderId);
  expect(now.filter(({ status }) => status === OrderStatus.CANCELLED)).toHaveLength(20 - completed.length);
  const left = handedOver.flatMap(({ body }) => ("orderId" in body ? [String(body.orderId)] : []));
  expect(orders.map(({ orderId }) => orderId).filter((orderId) => left.includes(orderId))).toEqual(completed);
  const onHand = (before.onHand ?? 0) - completed.length;
  expect(await stockOf(system, burger)).toEqual({ onHand, reserved: 0, available: onHand });
  expect(await differences(system)).toEqual([]);
});

test("an admin whose cancellation ends after it stopped the ticket has cancelled the order", async () => {
  const { orderId } = await ready();
  await system.app("order").call(KitchenService).cancelTicket({ orderId });
  await system.settle();
  const order = await orderNow(system, orderId);
  expect([order.status, order.cancelReason]).toEqual([OrderStatus.CANCELLED, CancelReason.ADMIN]);
  expect(await paymentStatus(orderId)).toBe(PaymentStatus.REFUNDED);
});

test("cancelled before the kitchen has heard of it, an order never gets a ticket", async () => {
  const rich = await customerWith(system, 10_000n);
  const orderId = await reserved(system, rich, burger);
  await payWithPoints(system, rich, orderId);
  await cancelByAdmin(orderId);
  await system.settle();
  const { tickets } = await kitchen().listTickets({ orderId });
  expect(tickets.filter(({ status }) => status !== TicketStatus.CANCELLED)).toEqual([]);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.CANCELLED);
});

test("what is spoilt does not come back for sale, and only an admin says so", async () => {
  const { orderId } = await ready();
  const before = await stockOf(system, burger);
  const asked = { orderId, withoutRestock: true };
  expect((await refusal(system.as(ann, OrderService).cancelOrder(asked))).reason).toBe("INVALID_ARGUMENT");
  await system.as("admin", OrderService).cancelOrder(asked);
  await system.settle();
  expect(await stockOf(system, burger)).toEqual(before);
  expect(await differences(system)).toEqual([]);
});

function kitchen() {
  return system.as("kitchen", KitchenService);
}

function cancelByAdmin(orderId: string) {
  return system.as("admin", OrderService).cancelOrder({ orderId });
}

async function paymentStatus(orderId: string) {
  return (await system.as(ann, PaymentService).getPayment({ orderId })).payment?.status;
}

/** A paid order whose ticket waits for the customer. */
async function ready(): Promise<{ orderId: string; ticketId: string }> {
  const orderId = await reserved(system, ann, burger);
  await pay(system, ann, orderId);
  await system.settle();
  return { orderId, ticketId: await cook(system, orderId) };
}
