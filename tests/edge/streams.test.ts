// Streams breathe: who watches knows at once that the line stands, hears within seconds that it still does, and after a cut goes on where it was.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { HEARTBEAT_MS, heartbeatOf } from "../../packages/service/wire/heartbeat.ts";
import { addCustomer, addProduct, pay, place, reserved } from "../kit/customers.ts";
import { allServices, createEdge } from "../kit/edge.ts";
import { describeService } from "../kit/fake-service.ts";
import { bearer, callConnect, member, startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem, type User } from "../kit/system.ts";
import { type Call, WAYS, type Way } from "./raw-stream.ts";

setDefaultTimeout(60_000);
const { watchTickets } = KitchenService.method;
const { watchOrder } = OrderService.method;

let system: System;
let edge: Awaited<ReturnType<typeof startLiveEdge>>;
let ann: User;
let cook: Record<string, string>;
beforeAll(async () => {
  system = await startSystem();
  edge = await startLiveEdge(system);
  ann = await addCustomer(system, "ann");
  cook = bearer(await system.token({ userId: system.random.id(), roles: [Role.KITCHEN] }));
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

const watching = (request: JsonObject = {}): Call => ({
  ports: edge,
  method: watchTickets,
  request,
  headers: cook,
});

for (const [name, open] of Object.entries(WAYS))
  describe(`over ${name}`, () => {
    test("a kitchen with nothing to make is told so at once: the head and a mark, before anything has changed", async () => {
      const stream = await open(watching());
      expect(await stream.head()).toMatch(/200/);
      expect(await stream.messages(1)).toMatchObject([{ mark: "WATCH_TICKETS_MARK_SNAPSHOT", resumeToken: TOKEN }]);
      stream.cut();
    });

    test("an order is told as it is at once, and after a cut as it has become", async () => {
      const { orderId } = await place(system, ann, await addProduct(system, { sku: `watched-${system.random.id()}` }));
      const headers = bearer(await system.token(ann));
      const call = { ports: edge, method: watchOrder, request: { orderId }, headers };
      const first = await open(call);
      expect(await first.head()).toMatch(/200/);
      expect(statusOf((await first.messages(1))[0])).toBe("ORDER_STATUS_PENDING");
      first.cut();
      await system.as(ann, OrderService).cancelOrder({ orderId });
      await system.settle();
      const second = await open(call);
      expect(statusOf((await second.messages(1))[0])).toBe("ORDER_STATUS_CANCELLED");
      second.cut();
    });

    test("a ticket that is closed during a cut is told to who comes back with the token, and only what changed", async () => {
      const { ticketId, kitchen, other } = await twoTickets();
      const first = await open(watching());
      const resumeToken = String((await first.messages(2)).at(-1)?.["resumeToken"]);
      first.cut();
      await kitchen.acceptTicket({ ticketId });
      await kitchen.markReady({ ticketId });
      await kitchen.handOver({ ticketId });
      const second = await open(watching({ resumeToken }));
      const [told, ...more] = await second.messages(1);
      expect(told).toMatchObject({
        ticket: { ticketId, status: "TICKET_STATUS_HANDED_OVER" },
        mark: "WATCH_TICKETS_MARK_RESUMED",
      });
      expect(more).toEqual([]);
      // The stream goes on, and its token with it.
      await kitchen.acceptTicket({ ticketId: other });
      const [, next] = await second.messages(2);
      expect(next).toMatchObject({ ticket: { ticketId: other }, resumeToken: TOKEN });
      second.cut();
      await kitchen.markReady({ ticketId: other });
      await kitchen.handOver({ ticketId: other });
    });

    test("a silent stream beats", async () => {
      const fake = await createEdge({ heartbeatMs: 30 });
      const ports = await fake.gateway.listen();
      const call = { ports, method: watchTickets, request: {}, headers: await fake.bearer(Role.KITCHEN) };
      const stream = await open(call);
      const beats = (await stream.messages(5)).slice(2, 5);
      expect(beats).toMatchObject(Array(3).fill({ heartbeat: { at: "2026-01-05T08:00:00Z" } }));
      stream.cut();
      await ports.close();
    });
  });

const TOKEN = expect.stringMatching(/^\d+$/);
const statusOf = (message: unknown) => member(member(message, "order"), "status");

/** Two paid orders, each with something to cook. */
async function twoTickets() {
  const kitchen = system.as("kitchen", KitchenService);
  const productId = await addProduct(system, { sku: `cooked-${system.random.id()}` });
  const ids: string[] = [];
  for (const _ of ["one", "other"]) {
    const orderId = await reserved(system, ann, productId);
    await pay(system, ann, orderId);
    await system.settle();
    ids.push((await kitchen.listTickets({ orderId })).tickets[0]?.ticketId ?? "");
  }
  const [ticketId = "", other = ""] = ids;
  return { kitchen, ticketId, other };
}

test("a token that this stream never gave is refused by its name", async () => {
  const answer = await callConnect(edge, watchTickets, JSON.stringify({ resumeToken: "x" }), cook);
  expect(answer).toMatchObject({ code: "invalid_argument", text: expect.stringContaining("resume_token: expected") });
});

test("a token of a database that was put back gets everything anew", async () => {
  const stream = await (WAYS["Connect"] as Way)({ ...watching({ resumeToken: "9000000000000000000" }) });
  expect(await stream.messages(1)).toMatchObject([{ mark: "WATCH_TICKETS_MARK_SNAPSHOT" }]);
  stream.cut();
});

describe("every stream", () => {
  const unbreathing = (methods: DescMethod[]) =>
    methods
      .filter(({ methodKind, parent }) => methodKind === "server_streaming" && parent.typeName.startsWith("bodega."))
      .filter((method) => !heartbeatOf(method))
      .map(({ parent, name }) => `${parent.typeName}.${name}`);

  test("can say that it is there, and does so within the 15 s that proxies allow", async () => {
    const methods = (await allServices()).flatMap((service) => service.methods);
    expect(methods.filter(({ methodKind }) => methodKind === "server_streaming").length).toBeGreaterThan(1);
    expect(unbreathing(methods)).toEqual([]);
    expect(HEARTBEAT_MS).toBeLessThan(15_000);
  });

  test("that cannot is found", () => {
    const { methods } = describeService([{ name: "WatchNothing", serverStreaming: true }]);
    expect(unbreathing(methods)).toEqual(["bodega.fake.v1.FakeService.WatchNothing"]);
  });
});
