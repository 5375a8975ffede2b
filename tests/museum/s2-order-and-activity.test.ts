// What seed 2 lost, and what its author wrote down as missing. Each test begins with it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "@connectrpc/connect";
import { OrderCreated } from "../../packages/api/facts.ts";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderService, OrderStatus, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { Platform } from "../../services/platform.ts";
import { addCustomer, addProduct, mailsAbout, orderNow, pay, place, stockOf } from "../kit/customers.ts";
import { dumpAll } from "../kit/dump.ts";
import { eventually } from "../kit/eventually.ts";
import { factMessage, tell } from "../kit/messages.ts";
import { startSecondInstance } from "../kit/second-instance.ts";
import { type System, startSystem, type User } from "../kit/system.ts";
import { type Edge, openEdge } from "./edge.ts";

setDefaultTimeout(60_000);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let system: System;
let edge: Edge;
let ann: User;
beforeAll(async () => {
  system = await startSystem();
  edge = await openEdge(system);
  ann = await addCustomer(system);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

describe("one instance", () => {
  test("s2-02 the failed message is dequeued: it stays first, and what came after it is told after it", async () => {
    // The seed took a message off its queue whether or not it had reached the broker.
    const productId = await addProduct(system, { sku: "s2-02" });
    const { events } = system.platform;
    const publish = events.publish;
    const tries: string[][] = [];
    events.publish = async (messages) => {
      tries.push(messages.map(({ type }) => type));
      if (tries.length <= 3) throw new Error("the broker is away");
      await publish(messages);
    };
    const { orderId } = await place(system, ann, productId, 2);
    await eventually(() => tries.length >= 1);
    await system.as(ann, OrderService).cancelOrder({ orderId });
    await eventually(() => tries.length > 3);
    await system.settle();
    events.publish = publish;
    for (const types of tries.slice(0, 4)) expect(types[0]).toBe("order.created");
    const told = await system.broker.sql<
      { type: string }[]
    >`select type from facts where key = ${orderId} and topic = 'order' order by position`;
    expect(told.map(({ type }) => type)).toEqual(["order.created", "order.cancelled"]);
    expect(await stockOf(system, productId)).toEqual({ onHand: 10, reserved: 0, available: 10 });
  });

  test("s2-03 a handler fails, and the next one's offset passes it: the fact is kept, and heard when it can be", async () => {
    // The seed logged the exception, handled the next message and stored its offset: the failed one was never seen again.
    const productId = await addProduct(system, { sku: "s2-03" });
    const { sql } = system.app("stock");
    await sql.unsafe(
      `alter table reservations add constraint broken check (lines::text not like '%"quantity": 2%') not valid`,
    );
    const { orderId } = await place(system, ann, productId, 2);
    const later = await place(system, ann, productId, 3);
    await eventually(async () => (await stockOf(system, productId)).reserved === 3);
    await eventually(async () => (await system.platform.events.undelivered()) === 0);
    expect(await sql`select attempts from jobs where key = ${orderId}`).toMatchObject([{ attempts: 1 }]);
    await sql.unsafe("alter table reservations drop constraint broken");
    await system.settle();
    expect((await stockOf(system, productId)).reserved).toBe(5);
    for (const each of [orderId, later.orderId])
      expect((await orderNow(system, each)).reservation).toBe(Reservation.RESERVED);
  });

  test("s2-todo-03 authentication, authorization, validation: nobody orders as nobody, and not minus one", async () => {
    // The seed's author: "authn/authz/validation" are needed for production.
    const productId = await addProduct(system, { sku: "s2-todo-03" });
    const order = (quantity: number) => ({ requestId: `of-${quantity}`, lines: [{ productId, quantity }] });
    expect(await edge.rest(null, "POST /v1/orders", order(1))).toMatchObject({ status: 401 });
    for (const quantity of [0, -1, 1_001]) {
      const { status, body } = await edge.rest(ann, "POST /v1/orders", order(quantity));
      expect([status, body.violations?.map(({ field }) => field)]).toEqual([400, ["lines[0].quantity"]]);
    }
    expect(await edge.rest(ann, "GET /v1/parked")).toMatchObject({ status: 403 });
    expect(await edge.rest(ann, "POST /v1/orders", order(1))).toMatchObject({ status: 200 });
  });

  test("s2-todo-04 messages over the failure threshold are watched, s2-todo-06 and the consumer survives poison", async () => {
    // The seed left messages of ten failures out of its queue for ever, unseen; its receiver had no idea of poison.
    const poison = { ...factMessage(system, OrderCreated, {}), key: system.random.id(), body: Buffer.from("garbage") };
    await tell(system, poison);
    const { parked } = await system.as("admin", OpsService, "stock").listParked({ service: "stock" });
    expect(parked).toMatchObject([{ parkedId: poison.id, type: "order.created", key: poison.key }]);
    expect(parked[0]?.error).toContain("OrderCreated");
    const text = await (await fetch(`${edge.opsUrl}/metrics`)).text();
    expect(text).toContain('bodega_backlog{service="stock",kind="parked"} 1');
    expect(text).toContain('bodega_messages_total{service="stock",type="order.created",outcome="parked"} 1');
    const { orderId } = await place(system, ann, await addProduct(system, { sku: "s2-todo-06" }));
    await system.settle();
    expect((await orderNow(system, orderId)).reservation).toBe(Reservation.RESERVED);
  });

  test("s2-todo-05 old messages are deleted: published facts leave the outbox at once, and the broker after a week", async () => {
    // The seed kept every message ever published.
    const productId = await addProduct(system, { sku: "s2-todo-05" });
    await place(system, ann, productId);
    await system.settle();
    for (const { app } of system.platform.services) expect(await app.sql`select from outbox`).toHaveLength(0);
    const before = system.clock.now();
    const old = async () => (await system.broker.sql`select from facts where appended_at <= ${before}`).length;
    expect(await old()).toBeGreaterThan(0);
    await system.advance(8 * DAY_MS);
    // The broker tidies up once a minute, behind the slowest reader.
    for (let minute = 0; minute < 2; minute++) {
      await place(system, ann, productId);
      await system.advance(60_000);
    }
    await eventually(async () => (await old()) === 0);
  });

  test("s2-todo-09 exceptions have a middleware: what is unexpected is answered with its trace and nothing else", async () => {
    // The seed answered with the exception.
    const productId = await addProduct(system, { sku: "s2-todo-09" });
    const { sql } = system.app("order");
    await sql.unsafe("alter table orders add constraint secret_rule check (currency_code <> 'EUR') not valid");
    const request = { requestId: "s2-todo-09", lines: [{ productId, quantity: 1 }] };
    const { status, body } = await edge.rest(ann, "POST /v1/orders", request);
    await sql.unsafe("alter table orders drop constraint secret_rule");
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain("secret_rule");
    const traceId = body["trace_id"];
    const line = system.lines.find((each) => each.level === "error" && each["trace_id"] === traceId);
    // s2-todo-10, a log that is kept: what the caller is not told is a line of it.
    expect(JSON.stringify(line)).toContain("secret_rule");
    expect(await edge.rest(ann, "POST /v1/orders", request)).toMatchObject({ status: 200 });
    await system.settle();
  });

  test("s2-todo-11 health checks include what works in the background: each service's database and what waits there", async () => {
    // The seed's health said that its HTTP server answered.
    const health = await (await fetch(`${edge.opsUrl}/health`)).json();
    const { services } = health as { services: Record<string, object> };
    expect(Object.keys(services).sort()).toEqual(system.platform.services.map(({ name }) => name).sort());
    expect(services["order"]).toMatchObject({ database: "ok", backlog: { outbox: 0, due: 0, parked: 0 } });
    expect(services["stock"]).toMatchObject({ backlog: { parked: 1 } });
  });
});

// From here on a second instance runs, and at the end it alone.
describe("instances that come and go", () => {
  let second: Platform | undefined;
  afterAll(() => second?.close());

  test("s2-01 a failed message is recorded as published: whoever comes next publishes it", async () => {
    // The seed set PublishedAt when publishing failed: a restart, which reloads what is unpublished, left it out.
    const productId = await addProduct(system, { sku: "s2-01" });
    const { events } = system.platform;
    const publish = events.publish;
    let refused = 0;
    events.publish = async () => {
      refused += 1;
      throw new Error("this instance has lost its broker");
    };
    const { orderId } = await place(system, ann, productId, 2);
    await eventually(() => refused > 0);
    expect((await orderNow(system, orderId)).reservation).toBe(Reservation.AWAITING);
    second = await startSecondInstance(system);
    // Either of the two may be the one that publishes now: what counts is that it is still there to be published.
    events.publish = publish;
    await eventually(async () => (await orderNow(system, orderId)).reservation === Reservation.RESERVED);
    expect((await stockOf(system, productId)).reserved).toBe(2);
  });

  test("s2-todo-02 several instances restart, and duplicates get through: every fact again, to both, changes nothing", async () => {
    // The seed remembered what it had seen in a set in memory, one per instance.
    const productId = await addProduct(system, { sku: "s2-todo-02" });
    const placed = await Promise.all(Array.from({ length: 10 }, () => place(system, ann, productId)));
    const sent = async ({ orderId }: { orderId: string }) => (await mailsAbout(system, orderId)).length === 1;
    await eventually(async () => (await Promise.all(placed.map(sent))).every(Boolean));
    await atRest();
    // Declined twice is two mails: nothing but the inbox tells a second refusal from the first one's second delivery.
    for (let time = 0; time < 2; time++) {
      await pay(system, ann, placed[0]?.orderId ?? "", "declined");
      await atRest();
    }
    const before = await dumpAll(system);
    await system.broker.sql`update fact_offsets set position = 0`;
    await atRest();
    expect(await dumpAll(system)).toEqual(before);
    expect((await stockOf(system, productId)).reserved).toBe(10);
  });

  test("s2-04 everything is in memory: after a restart orders, stock, users and timers are there", async () => {
    // The seed's repositories were lists.
    const account = { email: "s2-04@bodega.test", password: "three brown foxes" };
    await edge.rest(null, "POST /v1/users", account);
    const productId = await addProduct(system, { sku: "s2-04" });
    const { orderId } = await place(system, ann, productId, 4);
    await eventually(async () => (await orderNow(system, orderId)).reservation === Reservation.RESERVED);
    await atRest();
    await system.platform.close();
    const { accessToken } = await client(AuthService).login({
      email: "admin@bodega.test",
      password: "correct horse battery",
    });
    const headers = { authorization: `Bearer ${accessToken}` };
    const order = async () => (await client(OrderService).getOrder({ orderId }, { headers })).order;
    const stock = async () => (await client(StockService).getStock({ productId }, { headers })).stock;
    expect(await order()).toMatchObject({ customerId: ann.userId, status: OrderStatus.PENDING, version: 2n });
    expect(await stock()).toMatchObject({ onHand: 10, reserved: 4 });
    await expect(client(AuthService).login(account)).rejects.toThrow(/verified/);
    // The timer that the closed instance armed.
    system.clock.advance(24 * HOUR_MS);
    await eventually(async () => {
      const { accessToken: fresh } = await client(AuthService).login({
        email: "admin@bodega.test",
        password: "correct horse battery",
      });
      headers.authorization = `Bearer ${fresh}`;
      return (await order())?.status === OrderStatus.CANCELLED;
    });
    await eventually(async () => (await stock())?.reserved === 0);
  });

  /** Like settling, for two instances: without moving the clock, which would end the leases of the other. */
  async function atRest() {
    let quiet = 0;
    await eventually(async () => {
      const waiting = await Promise.all(
        system.platform.services.map(async ({ backlog, app }) => {
          const { outbox, due } = await backlog();
          const leased = await app.sql`select from jobs where attempts > 0`;
          return Number(outbox + due) + leased.length;
        }),
      );
      const busy = waiting.some((count) => count > 0) || (await system.platform.events.undelivered()) > 0;
      quiet = busy ? 0 : quiet + 1;
      return quiet >= 3;
    });
  }

  function client<S extends typeof AuthService | typeof OrderService | typeof StockService>(service: S) {
    const running = second?.services.find(({ rpcs }) => rpcs.some(({ method }) => method.parent === service));
    if (!running) throw new Error(`${service.typeName} does not run in the second instance`);
    return createClient(service, running.transport);
  }
});
