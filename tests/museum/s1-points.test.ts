// What seed 1's two-phase commit between its backend and its points did to buyers, and its author's to-do list. Each test begins with it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { addProduct, mailsAbout, orderNow, reserved } from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { refusal } from "../kit/refusal.ts";
import { customerWith, grant, halfDone, holdStatus, payWithPoints, pointsOf } from "../kit/services/points.ts";
import { FAULTS, hesitating } from "../kit/services/points-faults.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
const SWEEP_MS = 30_000;

let system: System;
let burger: string;
beforeAll(async () => {
  system = await startSystem();
  burger = await addProduct(system, { sku: "s1", stock: 1_000 });
});
afterAll(() => system.close());

test("s1-01 a purchase eats points for ever: after each of ten nothing stays held, and the last point can be spent", async () => {
  // The seed's commit lowered the balance and never what was reserved: every purchase cost twice.
  const ann = await customerWith(system, 4_500n);
  for (let bought = 1; bought <= 10; bought++) {
    await payWithPoints(system, ann, await reserved(system, ann, burger));
    await system.settle();
    expect(await pointsOf(system, ann)).toEqual([4_500n - 450n * BigInt(bought), 0n]);
  }
  expect(await halfDone(system)).toEqual([]);
});

test("s1-02 the sweep aborts everybody: a young payment is let alone, only one that is in doubt is asked about", async () => {
  // Every thirty seconds the seed aborted whatever was pending, also what had begun a moment before.
  const ann = await customerWith(system, 900n);
  const [old, young] = [await reserved(system, ann, burger), await reserved(system, ann, burger)];
  const lost = await FAULTS["the answer to prepare is lost"](system);
  await refusal(payWithPoints(system, ann, old));
  await lost.mend();
  system.clock.advance(SWEEP_MS - 1);
  const { goOn, mend } = hesitating(system);
  const paying = payWithPoints(system, ann, young);
  await eventually(async () => (await pointsOf(system, ann))[1] === 900n);
  system.clock.advance(1);
  await eventually(async () => (await holdStatus(system, old)) === "RELEASED");
  await system.settle();
  expect(await holdStatus(system, young)).toBe("HELD");
  goOn();
  expect((await paying).order?.status).toBe(OrderStatus.PAID);
  await mend();
  await system.settle();
  expect(await holdStatus(system, young)).toBe("COMMITTED");
  expect(await halfDone(system)).toEqual([]);
});

test("s1-03 the retry of a lost update does not wait and is never called: fifty changes of one account at once are all in it", async () => {
  // The seed read a balance, wrote it back, and its optimistic lock did nothing about it.
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  await Promise.all([...Array.from({ length: 50 }, () => grant(system, ann, 3n)), payWithPoints(system, ann, orderId)]);
  await system.settle();
  expect(await pointsOf(system, ann)).toEqual([150n, 0n]);
  expect(await halfDone(system)).toEqual([]);
});

test("s1-04 the amount is part of the SQL: an amount out of bounds is refused, and text is only ever a value", async () => {
  // The seed put the amount of a request between the words of a statement.
  const ann = await customerWith(system, 10n);
  const admin = system.as("admin", PointsService);
  const asked = { requestId: "s1-04", userId: ann.userId, amount: 1n };
  const reason = "'); update accounts set balance = 1000000; --";
  await admin.grantPoints({ ...asked, reason });
  expect(await pointsOf(system, ann)).toEqual([11n, 0n]);
  const { entries } = await system.as(ann, PointsService).listEntries({});
  expect(entries[0]?.reason).toBe(reason);
  for (const amount of [0n, -(10n ** 12n) - 1n, 2n ** 63n - 1n])
    expect(
      await refusal(admin.grantPoints({ ...asked, requestId: `s1-04 ${amount}`, amount, reason: "x" })),
    ).toMatchObject({
      code: Code.InvalidArgument,
    });
});

test("s1-05 what was bought is told after the commit, to who listens at that moment: it is told when it can be", async () => {
  // The seed published to an exchange that kept nothing; with its event log down, the purchase was never heard of.
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  const untold = await FAULTS["nobody is told of the decision"](system);
  await payWithPoints(system, ann, orderId);
  await eventually(async () => (await untold.strikes()) >= 2);
  expect(await mailsAbout(system, orderId)).toEqual(["order_received"]);
  await untold.mend();
  await system.settle();
  expect(await mailsAbout(system, orderId)).toEqual(["order_received", "payment_received"]);
});

test("s1-06 a handler that throws leaves its caller hanging: whatever fails inside, there is an answer", async () => {
  // The seed's gRPC handlers caught nothing, and its clients had no deadline.
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  const away = await FAULTS["points cannot write the hold"](system);
  expect((await refusal(payWithPoints(system, ann, orderId))).code).toBe(Code.Unavailable);
  await away.mend();
  const { sql } = system.app("points");
  await sql`alter table holds rename to holds_of_old`;
  const broken = await refusal(payWithPoints(system, ann, orderId));
  await sql`alter table holds_of_old rename to holds`;
  expect(broken.code).toBe(Code.Internal);
  expect(broken.message).not.toContain("holds");
});

test("s1-07 decisions pile up in the outbox, nobody prepares again, and anybody may: pruned, repeated, and not for strangers", async () => {
  // The seed's outbox rows were never deleted, a prepare that failed was the buyer's loss, and no call asked who was calling.
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  const lost = await FAULTS["the request to prepare is lost"](system);
  await refusal(payWithPoints(system, ann, orderId, "s1-07"));
  await lost.mend();
  expect((await payWithPoints(system, ann, orderId, "s1-07")).order?.status).toBe(OrderStatus.PAID);
  await system.settle();
  for (const service of ["order", "points"]) expect(await system.app(service).sql`select from outbox`).toHaveLength(0);
  const hold = { orderId, userId: ann.userId, amount: 450n };
  for (const who of ["anonymous", ann, "admin"] as const)
    expect([Code.Unauthenticated, Code.PermissionDenied]).toContain(
      (await refusal(system.as(who, PointsService).prepareHold(hold))).code,
    );
  expect((await refusal(system.as("anonymous", OrderService).payWithPoints({ requestId: "x", orderId }))).code).toBe(
    Code.Unauthenticated,
  );
});

test("s1-todo-01 pending commits that time out are to be aborted: they are, and the order can still be paid", async () => {
  const ann = await customerWith(system, 450n);
  const orderId = await reserved(system, ann, burger);
  const died = await FAULTS["the coordinator dies before it decides"](system);
  await refusal(payWithPoints(system, ann, orderId));
  await died.mend();
  expect(await pointsOf(system, ann)).toEqual([450n, 450n]);
  await system.advance(SWEEP_MS);
  expect(await pointsOf(system, ann)).toEqual([450n, 0n]);
  expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
  await payWithPoints(system, ann, orderId);
  await system.settle();
  expect(await pointsOf(system, ann)).toEqual([0n, 0n]);
  expect(await halfDone(system)).toEqual([]);
});
