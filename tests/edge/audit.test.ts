// Every act of somebody with power leaves a record in the commit of the act, and an act that was refused leaves none.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { AuditRecorded } from "../../packages/api/facts.ts";
import { EventLogService } from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { bearer, callConnect, type LiveEdge, startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";
import { rowsOf } from "./access-rows.ts";
import { ACCESS } from "./access-table.ts";
import { openShop, type Shop } from "./shop.ts";

setDefaultTimeout(120_000);

let system: System;
let edge: LiveEdge;
let shop: Shop;
let told: MessageShape<typeof AuditRecorded.schema>[] = [];
beforeAll(async () => {
  system = await startSystem();
  edge = await startLiveEdge(system);
  shop = await openShop(system, edge);
  system.platform.events.subscribe("audit-test", [AuditRecorded.topic], async (batch) => {
    told.push(...batch.map(({ body }) => fromBinary(AuditRecorded.schema, body)));
  });
  await system.settle();
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

/** What admins may do that changes something; and an owner's thing that an admin does in the owner's place. */
function actsOfPower() {
  const services = [
    ...system.platform.services.flatMap(({ definition }) => definition.answers.map(({ service }) => service)),
    OpsService,
  ];
  return rowsOf(services, ACCESS).filter(
    ({ name, method, row }) =>
      method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS &&
      (row.who === "admin" || name === "OrderService.CancelOrder"),
  );
}

test("each RPC of power tells who did what to what, once, with the trace of the call", async () => {
  const acts = actsOfPower();
  expect(acts.length).toBeGreaterThanOrEqual(13);
  const silent: string[] = [];
  for (const { name, method, row } of acts) {
    told = [];
    const answer = await callConnect(edge, method, JSON.stringify(await row.request(shop)), bearer(shop.tokens.admin));
    await system.settle();
    const records = told.filter(({ act }) => act === `${method.parent.name}.${method.name}`);
    if (answer.code !== "ok" || records.length !== 1)
      silent.push(`${name}: ${answer.code} ${answer.text}, ${records.length} records`);
    for (const { actor, subject, traceId } of records) {
      expect(actor).toMatch(/^[0-9a-f-]{36}$/);
      expect(subject).not.toBe("");
      expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    }
  }
  expect(silent).toEqual([]);
});

test("reasons, and what was done in detail, are in the journal; what was done to an order is found by the order", async () => {
  const journal = system.as("admin", EventLogService);
  const bodies = async (filter: { orderId?: string; subject?: string }) =>
    (await journal.listEvents({ ...filter, type: "audit.recorded" })).events.map(({ body }) => JSON.parse(body));
  expect(await bodies({ orderId: shop.doomedOrderId })).toMatchObject([
    { act: "OrderService.CancelOrder", service: "order" },
  ]);
  expect(await bodies({ orderId: shop.paidOrderId })).toMatchObject([
    { act: "PaymentService.RefundPayment", subject: shop.paymentId, reason: "cold soup", detail: "1 EUR minor units" },
  ]);
  expect(await bodies({ subject: shop.parked.toDiscard })).toMatchObject([
    { act: "OpsService.DiscardParked", reason: "garbage" },
  ]);
});

test("an act that is refused, changes nothing, or is nobody's power, leaves no record", async () => {
  told = [];
  const admin = bearer(shop.tokens.admin);
  const refused = actsOfPower().filter(({ name }) => /SetRoles|RefundPayment|AdjustStock/.test(name));
  for (const { method, row } of refused) {
    const request = await row.request(shop);
    const nobodys = { ...request, userId: shop.nobodys, paymentId: shop.nobodys, productId: shop.nobodys };
    const known = Object.fromEntries(Object.entries(nobodys).filter(([field]) => field in request));
    expect((await callConnect(edge, method, JSON.stringify(known), admin)).code).not.toBe("ok");
  }
  // An owner's own cancel is no act of power.
  const order = { requestId: shop.fresh(), lines: [{ productId: shop.productId, quantity: 1 }] };
  const owner = bearer(shop.tokens.other);
  const { body } = await callConnect(edge, OrderService.method.placeOrder, JSON.stringify(order), owner);
  const { orderId } = (body as { order: { orderId: string } }).order; // PlaceOrder's own shape.
  const cancelled = await callConnect(edge, OrderService.method.cancelOrder, JSON.stringify({ orderId }), owner);
  expect(cancelled.code).toBe("ok");
  // Nobody has parked that.
  await callConnect(
    edge,
    OpsService.method.replayParked,
    JSON.stringify({ service: "stock", parkedIds: [shop.nobodys] }),
    admin,
  );
  await system.settle();
  expect(told).toEqual([]);
});

test("what is rolled back leaves no record", async () => {
  told = [];
  const app = system.app("stock");
  const caller: Caller = {
    ...{ userId: system.admin.userId, roles: [], admin: true, token: "", address: "", network: "", fromAuth: false },
    rpc: OpsService.method.replayParked,
  };
  const outcome = app.transact(async (tx) => {
    audit(app, tx, caller, { subject: "nothing" });
    throw new Error("rolled back");
  });
  expect(await outcome.catch(String)).toContain("rolled back");
  await system.settle();
  expect(told).toEqual([]);
});
