import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import * as facts from "../../packages/api/facts.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderService, OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import {
  addCustomer,
  addProduct,
  differences,
  handOver,
  mailsAbout,
  orderNow,
  pay,
  place,
  reserved,
  stockOf,
} from "../kit/customers.ts";
import { dumpAll } from "../kit/dump.ts";
import { eventually } from "../kit/eventually.ts";
import { customerWith, payWithPoints, pointsOf } from "../kit/services/points.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

describe("delivered again", () => {
  test("every fact, to every service, a second time: nothing changes anywhere", async () => {
    await wholeStory();
    const before = await dumpAll(system);
    await rewind();
    await system.settle();
    expect(await dumpAll(system)).toEqual(before);
    const told = await system.platform.events.undelivered();
    expect(told).toBe(0);
  });

  test("the planted bug: without its inbox a service does change", async () => {
    const before = await dumpAll(system);
    await system.app("mail").sql`delete from inbox`;
    await system.app("mail").sql`delete from mails`;
    await rewind();
    await system.settle();
    expect(await dumpAll(system)).not.toEqual(before);
  });

  test("a fact that comes twice in one batch is taken in once", async () => {
    const productId = await addProduct(system, { sku: "twice", stock: 5 });
    const { publish } = system.platform.events;
    system.platform.events.publish = (messages) => publish([...messages, ...messages]);
    const customer = await addCustomer(system, "twin");
    const orderId = await reserved(system, customer, productId, 2);
    system.platform.events.publish = publish;
    expect(await stockOf(system, productId)).toEqual({ onHand: 5, reserved: 2, available: 3 });
    expect(await mailsAbout(system, orderId)).toEqual(["order_received"]);
  });

  test("every job that travelled between services, a second time: no second mail, no second refund", async () => {
    const customer = await addCustomer(system, "eve");
    const productId = await addProduct(system, { sku: "again" });
    const orderId = await reserved(system, customer, productId);
    const sent = captureJobs();
    await system.advance(4 * HOUR_MS);
    await system.advance(20 * HOUR_MS);
    const mails = await mailsAbout(system, orderId);
    expect(mails).toContain("payment_reminder");
    expect(sent.length).toBeGreaterThan(0);
    for (const { queue, messages } of [...sent]) await system.platform.jobs.send(queue, [...messages, ...messages]);
    await system.settle();
    expect(await mailsAbout(system, orderId)).toEqual(mails);
  });
});

describe("poison", () => {
  test("an undecodable fact is parked at once, with its error and trace, and blocks nobody", async () => {
    const productId = await addProduct(system, { sku: "poison-1" });
    const customer = await addCustomer(system);
    const key = randomUUID();
    await system.platform.events.publish([message("order.created", key, Buffer.from("not protobuf at all"))]);
    const orderId = await reserved(system, customer, productId);
    expect((await stockOf(system, productId)).reserved).toBe(1);
    const { parked } = await parkedOf("stock");
    expect(parked).toContainEqual(
      expect.objectContaining({
        type: "order.created",
        key,
        attempts: 1,
        traceId: "e".repeat(32),
        requestId: "poison",
      }),
    );
    expect((await orderNow(system, orderId)).status).toBe(OrderStatus.PENDING);
  });

  test("a handler that keeps failing: five tries, parked, the aggregate's later facts behind it, replayed in order when mended", async () => {
    const productId = await addProduct(system, { sku: "poison-2" });
    const customer = await addCustomer(system);
    const mail = system.app("mail").sql;
    // What breaks: mail cannot write about this one order.
    const { orderId } = await place(system, customer, productId);
    await mail`alter table mails add constraint broken check (order_id is distinct from ${mail.unsafe(`'${orderId}'`)}::uuid)`.catch(
      () => undefined,
    );
    await system.settle();
    await system.as(customer, OrderService).cancelOrder({ orderId });
    await system.settle();
    const { parked } = await parkedOf("mail");
    const ours = parked.filter((each) => each.key === orderId);
    expect(ours.map((each) => each.type)).toEqual(["order.created", "order.cancelled"]);
    expect(ours.at(0)).toMatchObject({ attempts: 5, error: expect.stringContaining("broken") });
    // Another order is written about meanwhile.
    const other = await place(system, customer, productId);
    await system.settle();
    expect(await mailsAbout(system, other.orderId)).toEqual(["order_received"]);
    await mail`alter table mails drop constraint broken`;
    const replay = await system
      .as("admin", OpsService, "mail")
      .replayParked({ service: "mail", parkedIds: ours.map((each) => each.parkedId) });
    expect(replay.replayed).toBe(2);
    await system.settle();
    expect(await mailsAbout(system, orderId)).toEqual(["order_received", "order_cancelled"]);
    expect((await parkedOf("mail")).parked.filter((each) => each.key === orderId)).toEqual([]);
  });

  test("what is discarded is kept with who and why, and comes no more", async () => {
    const { parked } = await parkedOf("stock");
    const [poison] = parked;
    const ids = [poison?.parkedId ?? ""];
    const { discarded } = await system
      .as("admin", OpsService, "stock")
      .discardParked({ service: "stock", parkedIds: ids, reason: "garbage of a test" });
    expect(discarded).toBe(1);
    expect((await parkedOf("stock")).parked.map((each) => each.parkedId)).not.toContain(ids[0]);
    const kept = await system.app("stock")
      .sql`select discarded_by, reason from discarded where parked_id = ${ids[0] ?? ""}`;
    expect(kept[0]).toMatchObject({ discarded_by: system.admin.userId, reason: "garbage of a test" });
  });
});

describe("a crash in between", () => {
  test("after publishing and before the outbox forgets: the facts come twice, their effects once", async () => {
    const { events } = system.platform;
    const publish = events.publish;
    let crashes = 3;
    events.publish = async (messages) => {
      await publish(messages);
      if (crashes-- > 0) throw new Error("killed between publish and commit");
    };
    const productId = await addProduct(system, { sku: "crash-1" });
    const customer = await addCustomer(system);
    const { orderId } = await place(system, customer, productId);
    await eventually(() => crashes <= 0);
    events.publish = publish;
    await system.settle();
    expect(await stockOf(system, productId)).toEqual({ onHand: 10, reserved: 1, available: 9 });
    expect(await mailsAbout(system, orderId)).toEqual(["order_received"]);
    expect(await differences(system)).toEqual([]);
  });
});

async function wholeStory() {
  const productId = await addProduct(system, { sku: "story", stock: 3 });
  const customer = await addCustomer(system);
  const [paid, forgotten, tooMany] = [
    await place(system, customer, productId),
    await place(system, customer, productId, 2),
    await place(system, customer, productId, 3),
  ];
  await system.settle();
  expect((await orderNow(system, tooMany?.orderId ?? "")).status).toBe(OrderStatus.CANCELLED);
  await pay(system, customer, paid?.orderId ?? "", "declined");
  await system.settle();
  await pay(system, customer, paid?.orderId ?? "");
  await system.settle();
  await handOver(system, paid?.orderId ?? "");
  await payInPoints();
  await system.advance(24 * HOUR_MS);
  expect((await orderNow(system, forgotten?.orderId ?? "")).status).toBe(OrderStatus.CANCELLED);
}

/** Of two orders that points have paid, one is cancelled. */
async function payInPoints() {
  const productId = await addProduct(system, { sku: "points", prepared: false });
  const customer = await customerWith(system, 1_000n);
  const [kept, cancelled] = [await reserved(system, customer, productId), await reserved(system, customer, productId)];
  for (const orderId of [kept, cancelled]) await payWithPoints(system, customer, orderId);
  await system.as("admin", OrderService).cancelOrder({ orderId: cancelled });
  await system.settle();
  expect(await pointsOf(system, customer)).toEqual([550n, 0n]);
}

/** Every consumer group reads the log of facts from its beginning. */
async function rewind() {
  await system.broker.sql`update fact_offsets set position = 0`;
  await eventually(async () => (await system.platform.events.undelivered()) === 0);
}

function captureJobs() {
  const sent: { queue: string; messages: Parameters<typeof send>[1] }[] = [];
  const { jobs } = system.platform;
  const send = jobs.send;
  jobs.send = async (queue, messages) => {
    sent.push({ queue, messages });
    await send(queue, messages);
  };
  return sent;
}

function parkedOf(service: string) {
  return system.as("admin", OpsService, service).listParked({ service, pageSize: 100 });
}

function message(type: string, key: string, body: Uint8Array) {
  const fact = Object.values(facts).find((each) => each.type === type);
  return {
    id: randomUUID(),
    type,
    topic: fact?.topic ?? "",
    key,
    source: "bodega/test",
    time: new Date("2026-01-05T08:00:00Z"),
    body,
    traceparent: `00-${"e".repeat(32)}-${"e".repeat(16)}-01`,
    correlationId: "poison",
  };
}
