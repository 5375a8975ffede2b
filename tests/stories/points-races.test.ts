// Points against points, the clock, money and cancellations: one of them wins.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CancelReason, OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import {
  addProduct,
  differences,
  mailsAbout,
  orderNow,
  place,
  playProvider,
  reserved,
  stockOf,
} from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { refusal } from "../kit/refusal.ts";
import { customerWith, halfDone, holdStatus, payWithPoints, pointsOf } from "../kit/services/points.ts";
import { hesitating, ofPrepare } from "../kit/services/points-faults.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let system: System;
let burger: string;
beforeAll(async () => {
  system = await startSystem();
  burger = await addProduct(system, { sku: "points-burger", stock: 5_000 });
});
afterAll(() => system.close());

test("a hundred calls with one key, and a hundred with as many: paid once", async () => {
  const ann = await customerWith(system, 10_000n);
  const [one, many] = [await reserved(system, ann, burger), await reserved(system, ann, burger)];
  const before = await pointsOf(system, ann);
  const same = await Promise.all(Array.from({ length: 100 }, () => payWithPoints(system, ann, one, "the one key")));
  expect(same.filter(({ replayed }) => !replayed)).toHaveLength(1);
  for (const { order } of same) expect(order).toMatchObject({ orderId: one, status: OrderStatus.PAID });
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) =>
      payWithPoints(system, ann, many, `key ${n} of many`).then(
        () => "paid",
        (error: unknown) => ConnectError.from(error).rawMessage.replace(/.* is /, ""),
      ),
    ),
  );
  expect(answers.filter((answer) => answer === "paid")).toHaveLength(1);
  expect(new Set(answers.filter((answer) => answer !== "paid").map((answer) => answer.slice(0, 4)))).toEqual(
    new Set(["PAID"]),
  );
  await system.settle();
  expect(before).toEqual([10_000n, 0n]);
  expect(await pointsOf(system, ann)).toEqual([9_100n, 0n]);
  expect(await halfDone(system)).toEqual([]);
});

test("many orders at once and points for some of them: as many are paid as there are points for", async () => {
  const ann = await customerWith(system, 450n * 7n + 449n);
  const orders = await Promise.all(Array.from({ length: 20 }, () => place(system, ann, burger)));
  await system.settle();
  const answers = await Promise.allSettled(orders.map(({ orderId }) => payWithPoints(system, ann, orderId)));
  await system.settle();
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(7);
  expect(await pointsOf(system, ann)).toEqual([449n, 0n]);
  expect(await halfDone(system)).toEqual([]);
});

test("the clock strikes while points are being paid: one winner, whichever comes first", async () => {
  const ann = await customerWith(system, 450n * 24n);
  const ids = await Promise.all(Array.from({ length: 24 }, () => place(system, ann, burger)));
  await system.settle();
  await system.advance(DAY_MS - 1);
  const tryPay = ({ orderId }: { orderId: string }) => payWithPoints(system, ann, orderId).catch(ConnectError.from);
  await Promise.all(ids.slice(0, 8).map(tryPay));
  const same = ids.slice(8, 16).map(tryPay);
  system.clock.advance(1);
  await Promise.all(same);
  await system.settle();
  await Promise.all(ids.slice(16).map(tryPay));
  await system.settle();
  await system.advance(31_000);
  const now = await Promise.all(ids.map(({ orderId }) => orderNow(system, orderId)));
  const paid = now.filter(({ status }) => status === OrderStatus.PAID);
  for (const order of now.filter((each) => !paid.includes(each)))
    expect(order).toMatchObject({ status: OrderStatus.CANCELLED, cancelReason: CancelReason.EXPIRED });
  for (const { status } of now.slice(0, 8)) expect(status).toBe(OrderStatus.PAID);
  for (const { status } of now.slice(16)) expect(status).toBe(OrderStatus.CANCELLED);
  expect(await pointsOf(system, ann)).toEqual([450n * BigInt(24 - paid.length), 0n]);
  expect(await halfDone(system)).toEqual([]);
  expect(await differences(system)).toEqual([]);
});

test.each([
  ["expiry", OrderStatus.CANCELLED, async () => system.clock.advance(DAY_MS)],
  ["money", OrderStatus.PAID, async (paymentId: string) => playProvider(system, paymentId, "succeeded")],
])("%s between prepare and decision wins, and the points are free at once", async (_, status, happens) => {
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  const { payment } = await system.as(ann, PaymentService).startPayment({ orderId });
  const { goOn, mend } = hesitating(system);
  const paying = payWithPoints(system, ann, orderId).catch(ConnectError.from);
  await eventually(async () => (await pointsOf(system, ann))[1] === 450n);
  await happens(payment?.paymentId ?? "");
  await eventually(async () => (await orderNow(system, orderId)).status === status);
  goOn();
  expect(await paying).toMatchObject({ code: Code.FailedPrecondition });
  await mend();
  await system.settle();
  expect(await holdStatus(system, orderId)).toBe("RELEASED");
  expect(await pointsOf(system, ann)).toEqual([450n, 0n]);
});

test("cancelled before the hold was made: the coordinator aborts it at once, nobody waits for a timer", async () => {
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  const { mend } = ofPrepare(system, async (prepare) => {
    await system.as(ann, OrderService).cancelOrder({ orderId });
    await eventually(() => heardOfCancellation(orderId));
    return prepare();
  });
  expect(await refusal(payWithPoints(system, ann, orderId))).toMatchObject({ code: Code.FailedPrecondition });
  await mend();
  await system.settle();
  expect(await holdStatus(system, orderId)).toBe("RELEASED");
  expect(await pointsOf(system, ann)).toEqual([450n, 0n]);
});

test("money that arrives after points is given back once; points after money are refused", async () => {
  const ann = await customerWith(system, 900n);
  const [pointsFirst, moneyFirst] = [await reserved(system, ann, burger), await reserved(system, ann, burger)];
  const open = async (orderId: string) =>
    (await system.as(ann, PaymentService).startPayment({ orderId })).payment?.paymentId ?? "";
  const [late, early] = [await open(pointsFirst), await open(moneyFirst)];
  await payWithPoints(system, ann, pointsFirst);
  await Promise.all([1, 2, 3].map(() => playProvider(system, late, "succeeded")));
  await playProvider(system, early, "succeeded");
  await system.settle();
  expect(await refusal(payWithPoints(system, ann, moneyFirst))).toMatchObject({ code: Code.FailedPrecondition });
  const paymentOf = async (paymentId: string) =>
    (await system.as(ann, PaymentService).getPayment({ paymentId })).payment;
  expect(await paymentOf(late)).toMatchObject({ status: PaymentStatus.REFUNDED, refunded: { minorUnits: 450n } });
  expect(await paymentOf(early)).toMatchObject({ status: PaymentStatus.CAPTURED });
  expect(await mailsAbout(system, pointsFirst)).toEqual(["order_received", "payment_received", "refund"]);
  expect(await pointsOf(system, ann)).toEqual([450n, 0n]);
  // Cancelled later, each gives back what it was paid with, and nothing else.
  for (const orderId of [pointsFirst, moneyFirst]) await system.as("admin", OrderService).cancelOrder({ orderId });
  await system.settle();
  expect(await pointsOf(system, ann)).toEqual([900n, 0n]);
  expect(await paymentOf(late)).toMatchObject({ refunded: { minorUnits: 450n } });
  expect(await paymentOf(early)).toMatchObject({ status: PaymentStatus.REFUNDED });
  expect(await halfDone(system)).toEqual([]);
});

test("money, points, a cancellation and the clock at the same moment: one of them wins, and all books agree", async () => {
  const ann = await customerWith(system, 450n * 12n);
  const ids: { orderId: string; paymentId: string }[] = [];
  for (let n = 0; n < 12; n++) {
    const orderId = await reserved(system, ann, burger);
    const { payment } = await system.as(ann, PaymentService).startPayment({ orderId });
    ids.push({ orderId, paymentId: payment?.paymentId ?? "" });
  }
  const stockBefore = await stockOf(system, burger);
  await Promise.all(
    ids.flatMap(({ orderId, paymentId }, n) => [
      payWithPoints(system, ann, orderId).catch(ConnectError.from),
      playProvider(system, paymentId, "succeeded"),
      ...(n % 3 === 0 ? [system.as(ann, OrderService).cancelOrder({ orderId }).catch(ConnectError.from)] : []),
      ...(n % 3 === 1 ? [system.as("admin", OrderService).cancelOrder({ orderId }).catch(ConnectError.from)] : []),
    ]),
  );
  await system.advance(31_000);
  let [byPoints, kept] = [0n, 0];
  for (const { orderId, paymentId } of ids) {
    const order = await orderNow(system, orderId);
    const { payment } = await system.as(ann, PaymentService).getPayment({ paymentId });
    const money = order.status === OrderStatus.PAID && order.paidPoints === 0n;
    expect(payment?.status).toBe(money ? PaymentStatus.CAPTURED : PaymentStatus.REFUNDED);
    if (order.status !== OrderStatus.PAID) continue;
    byPoints += order.paidPoints;
    kept += 1;
  }
  expect(await pointsOf(system, ann)).toEqual([450n * 12n - byPoints, 0n]);
  expect((await stockOf(system, burger)).onHand).toBe((stockBefore.onHand ?? 0) - kept);
  expect(await halfDone(system)).toEqual([]);
  expect(await differences(system)).toEqual([]);
});

/** Points has taken in that the order is cancelled. */
async function heardOfCancellation(orderId: string): Promise<boolean> {
  const [told] = await system.broker.sql<
    { id: string }[]
  >`select id from facts where key = ${orderId} and type = 'order.cancelled'`;
  if (!told) return false;
  return (await system.app("points").sql`select from inbox where message_id = ${told.id}`).length === 1;
}
