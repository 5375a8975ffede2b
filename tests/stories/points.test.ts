import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { CancelReason, OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { addProduct, differences, mailsAbout, orderNow, pay, place, reserved } from "../kit/customers.ts";
import { refusal } from "../kit/refusal.ts";
import { customerWith, grant, halfDone, holdStatus, payWithPoints, pointsOf } from "../kit/services/points.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let system: System;
let burger: string;
/** Needs no kitchen: completed by the clock. */
let mug: string;
beforeAll(async () => {
  system = await startSystem();
  burger = await addProduct(system, { sku: "points-burger", stock: 5_000 });
  mug = await addProduct(system, { sku: "points-mug", stock: 5_000, price: 1_299n, prepared: false });
});
afterAll(() => system.close());

async function mailText(orderId: string, template: string): Promise<string> {
  const [row] = await system.app("mail").sql<
    { text: string }[]
  >`select content::text as text from mails where order_id = ${orderId} and template = ${template}`;
  return row?.text ?? "";
}

describe("paying with points", () => {
  test("granted, held, committed: the order is PAID, goes its way, and nothing stays held", async () => {
    const ann = await customerWith(system, 1_000n);
    const orderId = await reserved(system, ann, burger, 2);
    const { order, replayed } = await payWithPoints(system, ann, orderId);
    expect(order).toMatchObject({ status: OrderStatus.PAID, paidPoints: 900n });
    expect(replayed).toBe(false);
    await system.settle();
    expect(await holdStatus(system, orderId)).toBe("COMMITTED");
    expect(await pointsOf(system, ann)).toEqual([100n, 0n]);
    expect(await mailsAbout(system, orderId)).toEqual(["order_received", "payment_received"]);
    expect(await mailText(orderId, "payment_received")).toContain("900 points for EUR 9.00");
    const { entries } = await system.as(ann, OrderService).getOrderHistory({ orderId });
    expect(entries.at(-1)).toMatchObject({ to: OrderStatus.PAID, cause: "PayWithPoints", actor: ann.userId });
    const tickets = await system.app("kitchen").sql`select from tickets where order_id = ${orderId}`;
    expect(tickets).toHaveLength(1);
    // A day later no timer has anything to say about it.
    await system.advance(DAY_MS);
    expect(await mailsAbout(system, orderId)).toEqual(["order_received", "payment_received"]);
    expect(await halfDone(system)).toEqual([]);
  });

  test("one key is one payment and one answer; another key is told that the order is paid", async () => {
    const ann = await customerWith(system, 1_000n);
    const orderId = await reserved(system, ann, burger);
    const first = await payWithPoints(system, ann, orderId, "key-1");
    await system.settle();
    const again = await payWithPoints(system, ann, orderId, "key-1");
    expect(again.replayed).toBe(true);
    expect(again.order).toEqual(first.order);
    const other = await reserved(system, ann, burger);
    expect(await refusal(payWithPoints(system, ann, other, "key-1"))).toMatchObject({ code: Code.AlreadyExists });
    expect(await refusal(payWithPoints(system, ann, orderId, "key-2"))).toMatchObject({
      code: Code.FailedPrecondition,
      message: `order ${orderId} is PAID and COMMITTED: expected PENDING and RESERVED`,
    });
    expect((await refusal(system.as(ann, PaymentService).startPayment({ orderId }))).message).toContain("PAID");
    // The refusal of the key's other order left its points held at most until somebody asks.
    await system.advance(31_000);
    expect(await pointsOf(system, ann)).toEqual([550n, 0n]);
    expect(await halfDone(system)).toEqual([]);
  });

  test("not enough points: refused with what was needed and found; with one point more it is paid", async () => {
    const ann = await customerWith(system, 449n);
    const orderId = await reserved(system, ann, burger);
    expect(await refusal(payWithPoints(system, ann, orderId))).toMatchObject({
      code: Code.FailedPrecondition,
      message: `order ${orderId} costs 450 points: expected as many available, found 449`,
    });
    await grant(system, ann, 1n);
    await payWithPoints(system, ann, orderId);
    await system.settle();
    expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
  });

  test("only the owner pays, only what is reserved, and only what is there", async () => {
    const [ann, bob] = [await customerWith(system, 1_000n), await customerWith(system, 1_000n)];
    const orderId = await reserved(system, ann, burger);
    expect(await refusal(payWithPoints(system, bob, orderId))).toMatchObject({ code: Code.NotFound });
    expect(await refusal(payWithPoints(system, system.admin, orderId))).toMatchObject({ code: Code.NotFound });
    expect(await refusal(payWithPoints(system, ann, system.random.id()))).toMatchObject({ code: Code.NotFound });
    const cancelled = await reserved(system, ann, burger);
    await system.as(ann, OrderService).cancelOrder({ orderId: cancelled });
    expect((await refusal(payWithPoints(system, ann, cancelled))).message).toContain("is CANCELLED");
    const restore = holdBackReservations();
    const { orderId: waiting } = await place(system, ann, burger);
    expect((await refusal(payWithPoints(system, ann, waiting))).message).toContain("waits for its reservation");
    restore();
    await system.settle();
    expect(await pointsOf(system, ann)).toEqual([1_000n, 0n]);
    expect(await halfDone(system)).toEqual([]);
  });

  test("an order paid in money earns points when it is completed, one paid with points does not", async () => {
    const ann = await customerWith(system, 1_299n);
    const [inMoney, inPoints] = [await reserved(system, ann, mug), await reserved(system, ann, mug)];
    await pay(system, ann, inMoney);
    await payWithPoints(system, ann, inPoints);
    await system.settle();
    expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
    await system.advance(DAY_MS);
    for (const orderId of [inMoney, inPoints])
      expect((await orderNow(system, orderId)).status).toBe(OrderStatus.COMPLETED);
    expect(await pointsOf(system, ann)).toEqual([12n, 0n]);
    const { entries } = await system.as(ann, PointsService).listEntries({ pageSize: 1 });
    expect(entries).toMatchObject([{ orderId: inMoney, balanceDelta: 12n }]);
    expect(await halfDone(system)).toEqual([]);
  });

  test("an admin cancels what points have paid: they come back once, no mail speaks of money, and nobody refunds", async () => {
    const ann = await customerWith(system, 450n);
    const orderId = await reserved(system, ann, burger);
    await payWithPoints(system, ann, orderId);
    await system.settle();
    expect((await refusal(system.as(ann, OrderService).cancelOrder({ orderId }))).message).toContain("only an admin");
    const admin = system.as("admin", OrderService);
    await Promise.all([1, 2, 3].map(() => admin.cancelOrder({ orderId })));
    await system.settle();
    expect(await orderNow(system, orderId)).toMatchObject({
      status: OrderStatus.CANCELLED,
      cancelReason: CancelReason.ADMIN,
    });
    expect(await holdStatus(system, orderId)).toBe("RETURNED");
    expect(await pointsOf(system, ann)).toEqual([450n, 0n]);
    expect(await mailsAbout(system, orderId)).toEqual(["order_received", "payment_received", "order_cancelled"]);
    const text = await mailText(orderId, "order_cancelled");
    expect(text).toContain("The 450 points you paid with are in your account again.");
    expect(text).not.toContain("a mail follows");
    expect(await system.app("payment").sql`select from payments where order_id = ${orderId}`).toHaveLength(0);
    expect(await halfDone(system)).toEqual([]);
    expect(await differences(system)).toEqual([]);
  });
});

describe("the checker", () => {
  test("finds a commit that was carried out on one side only, on either side", async () => {
    const ann = await customerWith(system, 450n);
    const orderId = await reserved(system, ann, burger);
    await payWithPoints(system, ann, orderId);
    await system.settle();
    expect(await halfDone(system)).toEqual([]);
    const { sql } = system.app("points");
    await sql`update holds set status = 'HELD' where order_id = ${orderId}`;
    expect((await halfDone(system)).join()).toContain("is HELD: expected COMMITTED");
    await sql`update holds set status = 'COMMITTED', amount = 449 where order_id = ${orderId}`;
    expect((await halfDone(system)).join()).toContain("which has other points");
    await sql`update holds set amount = 450 where order_id = ${orderId}`;
    const orders = system.app("order").sql;
    await orders`update decisions set decision = 'ABORT' where order_id = ${orderId}`;
    expect((await halfDone(system)).join()).toContain("ABORT is recorded for hold");
    await orders`update decisions set decision = 'COMMIT' where order_id = ${orderId}`;
    expect(await halfDone(system)).toEqual([]);
  });
});

/** Facts of stock wait on their way, until the answer is called. */
function holdBackReservations(): () => void {
  const { events } = system.platform;
  const publish = events.publish;
  events.publish = async (messages) => {
    if (messages.some(({ topic }) => topic === "stock")) throw new Error("the broker is away");
    await publish(messages);
  };
  return () => {
    events.publish = publish;
  };
}
