// Holds in doubt: coordinators that hesitate, services that are gone and come back, and the bugs that would show.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { addProduct, orderNow, reserved } from "../kit/customers.ts";
import { eventually } from "../kit/eventually.ts";
import { startSecondInstance } from "../kit/second-instance.ts";
import {
  customerWith,
  halfDone,
  holdStatus,
  parked,
  payWithPoints,
  pointsOf,
  startPoints,
} from "../kit/services/points.ts";
import { DOUBT_MS_MAX, FAULTS, hesitating, IN_DOUBT_MS, OUTAGE_MS, ofDecision } from "../kit/services/points-faults.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(240_000);

let system: System;
let burger: string;
let ann: User;
beforeAll(async () => {
  ({ system, burger, ann } = await startPoints());
});
afterAll(() => system.close());

describe("in doubt", () => {
  test("a coordinator that takes too long cannot commit any more: its hold is free, and asking again pays", async () => {
    const orderId = await reserved(system, ann, burger);
    const before = await pointsOf(system, ann);
    const { goOn, mend } = hesitating(system);
    const paying = payWithPoints(system, ann, orderId, `late ${orderId}`).catch(ConnectError.from);
    await eventually(async () => (await pointsOf(system, ann))[1] === 450n);
    system.clock.advance(IN_DOUBT_MS);
    await eventually(async () => (await holdStatus(system, orderId)) === "RELEASED");
    expect(await pointsOf(system, ann)).toEqual(before);
    goOn();
    expect(await paying).toMatchObject({ code: Code.Aborted });
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
    await mend();
    await payWithPoints(system, ann, orderId, `late ${orderId}`);
    await system.settle();
    expect(await halfDone(system)).toEqual([]);
  });

  test("the planted bug: a coordinator that forgets what it answered commits a released hold, and is found out", async () => {
    const orderId = await reserved(system, ann, burger);
    const { goOn, mend } = hesitating(system);
    const paying = payWithPoints(system, ann, orderId);
    await eventually(async () => (await pointsOf(system, ann))[1] === 450n);
    system.clock.advance(IN_DOUBT_MS);
    await eventually(async () => (await holdStatus(system, orderId)) === "RELEASED");
    await system.app("order").sql`delete from decisions where order_id = ${orderId}`;
    goOn();
    await paying;
    await mend();
    await system.settle();
    expect((await halfDone(system)).join()).toContain("is RELEASED: expected COMMITTED");
    expect((await parked(system)).join()).toContain("is RELEASED: told commit");
    // Mended by hand, so that the other tests see their own faults only.
    await system.app("points").sql`delete from parked`;
    await system.app("order").sql`delete from decisions where order_id = ${orderId}`;
    await system.app("order").sql`update orders set hold_id = null, points = null where order_id = ${orderId}`;
    expect(await halfDone(system)).toEqual([]);
  });
});

describe("gone and back", () => {
  async function shopWithOrders() {
    const shop = await startSystem();
    const productId = await addProduct(shop, { sku: "gone", stock: 50 });
    const customer = await customerWith(shop, 4_500n);
    const order = () => reserved(shop, customer, productId);
    return { shop, customer, paid: await order(), doubted: await order(), open: await order() };
  }

  test("order goes down with holds in doubt and decisions untold; what comes up after it resolves all of them", async () => {
    const { shop, customer, paid, doubted, open } = await shopWithOrders();
    const untold = await FAULTS["nobody is told of the decision"](shop);
    await payWithPoints(shop, customer, paid);
    const died = await FAULTS["the coordinator dies before it decides"](shop);
    await payWithPoints(shop, customer, doubted).catch(ConnectError.from);
    await shop.platform.services.find(({ name }) => name === "order")?.close();
    expect(await payWithPoints(shop, customer, open).catch(ConnectError.from)).toMatchObject({
      code: Code.Unavailable,
    });
    await untold.mend();
    await died.mend();
    // Points asks while nobody is there to answer: the question waits.
    shop.clock.advance(OUTAGE_MS);
    const { sql } = shop.app("points");
    await eventually(async () => (await sql`select from jobs`).length === 0);
    expect(await sql`select from holds where status = 'HELD'`).toHaveLength(2);
    const second = await startSecondInstance(shop);
    const backAt = shop.clock.now();
    await eventually(async () => (await sql`select from holds where status = 'HELD'`).length === 0);
    expect(+shop.clock.now() - +backAt).toBeLessThanOrEqual(DOUBT_MS_MAX);
    expect(await holdStatus(shop, paid)).toBe("COMMITTED");
    expect(await holdStatus(shop, doubted)).toBe("RELEASED");
    expect(await sql`select from parked`).toHaveLength(0);
    await second.close();
    await shop.close();
  });

  test("points goes down before the decision is told; what comes up after it commits, and asks about what nobody decided", async () => {
    const { shop, customer, paid, doubted, open } = await shopWithOrders();
    const lost = await FAULTS["the answer to prepare is lost"](shop);
    await payWithPoints(shop, customer, doubted).catch(ConnectError.from);
    await lost.mend();
    const points = shop.platform.services.find(({ name }) => name === "points");
    const decided = ofDecision(shop, async (decide) => {
      await points?.close();
      return decide();
    });
    expect((await payWithPoints(shop, customer, paid)).order?.status).toBe(OrderStatus.PAID);
    await decided.mend();
    expect(await payWithPoints(shop, customer, open).catch(ConnectError.from)).toMatchObject({
      code: Code.Unavailable,
    });
    expect((await orderNow(shop, open)).status).toBe(OrderStatus.PENDING);
    shop.clock.advance(OUTAGE_MS);
    const second = await startSecondInstance(shop);
    const backAt = shop.clock.now();
    const { sql } = second.services.find(({ name }) => name === "points")?.app ?? shop.app("points");
    await eventually(async () => (await sql`select from holds where status = 'HELD'`).length === 0);
    expect(+shop.clock.now() - +backAt).toBeLessThanOrEqual(DOUBT_MS_MAX);
    const holds = await sql<{ order_id: string; status: string }[]>`select order_id, status from holds`;
    expect(new Map(holds.map(({ order_id, status }) => [order_id, status]))).toEqual(
      new Map([
        [doubted, "RELEASED"],
        [paid, "COMMITTED"],
      ]),
    );
    expect(await sql`select balance, held from accounts where balance > 0 or held > 0`).toMatchObject([
      { balance: 4_050n, held: 0n },
    ]);
    await second.close();
    await shop.close();
  });
});
