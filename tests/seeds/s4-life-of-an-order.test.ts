// Seed 4: an order is reminded after 4, 12 and 22 hours, and after 24 it is cancelled and its stock comes back, unless it was paid; every mail comes once.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { EventLogService } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { CancelReason, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { addCustomer, addProduct, handOver, mailsAbout, orderNow, pay, reserved, stockOf } from "../kit/customers.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
const REMINDER = "payment_reminder";

let system: System;
let productId: string;
let customer: User;
beforeAll(async () => {
  system = await startSystem();
  productId = await addProduct(system, { sku: "seed-4", stock: 10 });
  customer = await addCustomer(system);
});
afterAll(() => system.close());

/** What the journal tells of an order, oldest first: the whole story, whoever told it. */
async function storyOf(orderId: string): Promise<string[]> {
  const { events } = await system
    .as("admin", EventLogService)
    .listEvents({ orderId, oldestFirst: true, pageSize: 100 });
  return events.map(({ type }) => type);
}

const mails = (orderId: string) => mailsAbout(system, orderId);

describe("an order that nobody pays", () => {
  let orderId: string;

  test("holds its stock, and is mailed to its customer", async () => {
    orderId = await reserved(system, customer, productId, 3);
    await system.settle();
    expect(await stockOf(system, productId)).toEqual({ onHand: 10, reserved: 3, available: 7 });
    expect(await mails(orderId)).toEqual(["order_received"]);
  });

  test.each([
    [4, 1],
    [12, 2],
    [22, 3],
  ])("is reminded at %p hours, once, and not a moment before", async (hours, reminders) => {
    const placedAt = Date.parse("2026-01-05T08:00:00Z");
    const until = placedAt + hours * HOUR_MS - system.clock.now().getTime();
    await system.advance(until - 1_000);
    expect((await mails(orderId)).filter((template) => template === REMINDER)).toHaveLength(reminders - 1);
    await system.advance(2_000);
    expect((await mails(orderId)).filter((template) => template === REMINDER)).toHaveLength(reminders);
  });

  test("is cancelled at 24 hours: its stock is for sale again, and its customer knows", async () => {
    await system.advance(2 * HOUR_MS);
    expect(await orderNow(system, orderId)).toMatchObject({
      status: OrderStatus.CANCELLED,
      cancelReason: CancelReason.EXPIRED,
    });
    expect(await stockOf(system, productId)).toEqual({ onHand: 10, reserved: 0, available: 10 });
    expect(await mails(orderId)).toEqual(["order_received", REMINDER, REMINDER, REMINDER, "order_cancelled"]);
    expect(await storyOf(orderId)).toEqual(["order.created", "stock.reserved", "order.cancelled", "stock.released"]);
  });
});

describe("an order that is paid after its first reminder", () => {
  let orderId: string;

  test("is reminded no more, is made, handed over and completed", async () => {
    orderId = await reserved(system, customer, productId, 2);
    await system.advance(5 * HOUR_MS);
    await pay(system, customer, orderId);
    await system.settle();
    await handOver(system, orderId);
    await system.advance(20 * HOUR_MS);
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
    expect(await mails(orderId)).toEqual(["order_received", REMINDER, "payment_received", "order_completed"]);
    expect(await stockOf(system, productId)).toEqual({ onHand: 8, reserved: 0, available: 8 });
  });

  test("is found in the journal as one story, of the order, its stock, its payment, its ticket and its points", async () => {
    const story = await storyOf(orderId);
    expect(story.slice(0, 2)).toEqual(["order.created", "stock.reserved"]);
    expect([...story].sort()).toEqual([
      "order.completed",
      "order.created",
      "order.paid",
      "payment.captured",
      "points.granted",
      "stock.committed",
      "stock.reserved",
      "ticket.accepted",
      "ticket.handed_over",
      "ticket.queued",
      "ticket.ready",
    ]);
    const { intact } = await system.as("admin", EventLogService).verifyChain({});
    expect(intact).toBe(true);
  });
});
