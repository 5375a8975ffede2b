import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type DescMethodUnary, getOption, hasOption, type JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { Access, access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import { createEmbeddedLocks } from "../../packages/locks/embedded.ts";
import { notFound } from "../../packages/service/errors.ts";
import { readConfig } from "../../services/gateway/config.ts";
import { dumpAll } from "../kit/dump.ts";
import { allServices } from "../kit/edge.ts";
import { fakeService } from "../kit/fake-service.ts";
import { bearer, callConnect, callRest, type LiveEdge, member, startLiveEdge } from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";
import { PASSKEYS_AT } from "./access-auth.ts";
import { CALLERS, expectedOf, shape, wrongCells } from "./access-matrix.ts";
import { gaps, type Row, rowsOf } from "./access-rows.ts";
import { ACCESS } from "./access-table.ts";
import { openShop, type Shop } from "./shop.ts";

setDefaultTimeout(120_000);

const services = await allServices();
let system: System;
let edge: LiveEdge;
let shop: Shop;
beforeAll(async () => {
  system = await startSystem({ env: { PASSKEY_ORIGINS: PASSKEYS_AT } });
  edge = await startLiveEdge(system);
  shop = await openShop(system, edge);
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

describe("the table", () => {
  test("every RPC of every service has a row, and every row an RPC", () => {
    expect(gaps(services, ACCESS)).toEqual([]);
  });

  test("an RPC without a row, and a row without an RPC, are named", () => {
    const { "OrderService.GetOrder": row, ...rest } = ACCESS;
    if (!row) throw new Error("expected a row for GetOrder");
    expect(gaps(services, { ...rest, "OrderService.StealOrder": row })).toEqual([
      "OrderService.GetOrder has no row: say in tests/edge/access-table.ts who may call it",
      "OrderService.StealOrder has a row, but no service has such a method",
    ]);
  });

  test("every RPC says in its proto who may call it", () => {
    const silent = services
      .flatMap((service) => service.methods)
      .filter((method) => !hasOption(method, access) || getOption(method, access) === Access.UNSPECIFIED);
    expect(silent.map(({ name }) => name)).toEqual([]);
  });
});

describe("who may call what", () => {
  for (const { name, method, row } of rowsOf(services, ACCESS)) {
    test(`${name} is for ${row.who === "owner" ? "its owner" : row.who}`, async () => {
      const cell = { edge, shop, name, method, row };
      const refused = CALLERS.filter((caller) => expectedOf(row, caller) !== "allowed");
      await system.settle();
      const before = await dumpAll(system);
      expect(await wrongCells(cell, refused)).toEqual([]);
      await system.settle();
      expect(await dumpAll(system)).toEqual(before);
      const allowed = CALLERS.filter((caller) => expectedOf(row, caller) === "allowed");
      expect(await wrongCells(cell, allowed)).toEqual([]);
    });
  }
});

describe("the matrix notices", () => {
  const row = (who: Row["who"], more: Partial<Row> = {}): Row => ({ who, request: () => ({ name: "thing" }), ...more });
  const nobodys = () => ({ name: "nothing" });

  async function planted(rule: Access | undefined, it: Row, answer: (name: string, caller: string) => string) {
    const rpc = { name: "Take", answer: (name: string, { userId }: { userId: string }) => answer(name, userId) };
    const { service, running } = fakeService(system, [rule === undefined ? rpc : { ...rpc, access: rule }]);
    const faked = await startLiveEdge(system, { extra: [running] });
    try {
      const method = service.method["take"];
      if (!method) throw new Error("expected the fake method Take");
      return await wrongCells({ edge: faked, shop, name: "FakeService.Take", method, row: it }, CALLERS);
    } finally {
      await faked.close();
    }
  }

  test("nothing where nothing is wrong", async () => {
    expect(await planted(Access.ADMIN, row("admin"), (name) => name)).toEqual([]);
    expect(await planted(Access.ANYONE, row("anyone"), (name) => name)).toEqual([]);
    expect(await planted(Access.SERVICE, row("service"), (name) => name)).toEqual([]);
  });

  test("a method without an access rule: it is refused to everybody, admins too", async () => {
    const wrong = await planted(undefined, row("anyone"), (name) => name);
    expect(wrong).toHaveLength(CALLERS.length);
    expect(wrong[0]).toStartWith("FakeService.Take over Connect as anonymous: expected allowed, found 401");
    const withGoodTokens = wrong.slice(CALLERS.indexOf("other"));
    expect(withGoodTokens.map((each) => / found (\d+ \w+ \w+)/.exec(each)?.[1])).toEqual(
      Array(4).fill("403 permission_denied PERMISSION_DENIED"),
    );
  });

  test("a method for admins that is open to everybody", async () => {
    const wrong = await planted(Access.ANYONE, row("admin"), (name) => name);
    expect(wrong.map((each) => / as (\w+): /.exec(each)?.[1])).toEqual(CALLERS.filter((each) => each !== "admin"));
  });

  test("a handler that forgets whose the thing is", async () => {
    const owned = row("owner", { nobodys });
    const wrong = await planted(Access.OWNER, owned, (name) => {
      if (name === "nothing") throw notFound("thing", name);
      return name;
    });
    expect(wrong.filter((each) => each.includes("expected not_found, found 200 ok"))).toHaveLength(2);
  });

  test("a refusal that tells another's thing from none", async () => {
    const owned = row("owner", { nobodys, notForAdmins: true });
    const wrong = await planted(Access.OWNER, owned, (name, caller) => {
      if (name === "nothing") throw notFound("thing", name);
      if (caller !== shop.users.owner) throw notFound("thing of yours", name);
      return name;
    });
    expect(wrong).toHaveLength(3);
    expect(wrong[0]).toContain("tells what is another's from what is not there");
  });
});

test("where no token is needed a bad one is none: its user is not taken for the caller, over any protocol", async () => {
  const seen: string[] = [];
  const answer = (name: string, { userId, token }: { userId: string; token: string }) => {
    seen.push(userId + (token && " with a token"));
    return name;
  };
  const { service, running } = fakeService(system, [{ name: "Take", access: Access.ANYONE, answer }]);
  const faked = await startLiveEdge(system, { extra: [running] });
  const { tokens, users } = shop;
  try {
    const method = service.method["take"];
    if (!method) throw new Error("expected the fake method Take");
    const grpc = createGrpcTransport({ baseUrl: faked.grpcUrl });
    for (const token of [tokens.expired, tokens.garbage, tokens.tampered, tokens.owner]) {
      expect((await callConnect(faked, method, "{}", bearer(token))).code).toBe("ok");
      await grpc.unary(method as DescMethodUnary, undefined, undefined, bearer(token), {});
    }
  } finally {
    await faked.close();
  }
  expect(seen).toEqual([...Array(6).fill(""), ...Array(2).fill(`${users.owner} with a token`)]);
});

describe("lists", () => {
  const listed = async (rpc: string, token: string, request: JsonObject, ...path: [string, string]) => {
    const [service, name] = rpc.split(".");
    const method = services.find((each) => each.name === service)?.methods.find((each) => each.name === name);
    if (!method) throw new Error(`there is no ${rpc}`);
    const { body } = await callRest(edge, method, request, bearer(token));
    return (member(body, path[0]) as object[]).map((each) => member(each, path[1])); // The list of its reply.
  };

  test("orders and payments are the caller's own; an admin sees everybody's", async () => {
    const { tokens, users } = shop;
    for (const [rpc, list] of [
      ["OrderService.ListOrders", "orders"],
      ["PaymentService.ListPayments", "payments"],
    ] as const) {
      const customers = async (token: string) =>
        new Set(await listed(rpc, token, { pageSize: 100 }, list, "customerId"));
      expect(await customers(tokens.owner)).toEqual(new Set([users.owner]));
      expect(await customers(tokens.other)).toEqual(new Set([users.other]));
      expect((await customers(tokens.admin)).isSupersetOf(new Set([users.owner, users.other]))).toBe(true);
    }
  });

  test("another's order as a filter finds nothing", async () => {
    const filter = { orderId: shop.paidOrderId };
    expect(await listed("PaymentService.ListPayments", shop.tokens.owner, filter, "payments", "paymentId")).toEqual([
      shop.paymentId,
    ]);
    expect(await listed("PaymentService.ListPayments", shop.tokens.other, filter, "payments", "paymentId")).toEqual([]);
  });

  test("another's page token opens nothing of theirs", async () => {
    const { tokens, users } = shop;
    for (const method of [OrderService.method.listOrders, PaymentService.method.listPayments]) {
      const page = await callRest(edge, method, { pageSize: 1 }, bearer(tokens.owner));
      const pageToken = String(member(page.body, "nextPageToken"));
      expect(pageToken).not.toBe("");
      const { code, body } = await callRest(edge, method, { pageSize: 1, pageToken }, bearer(tokens.other));
      const items = [member(body, "orders") ?? member(body, "payments") ?? []].flat();
      expect([code, items.filter((each) => member(each, "customerId") !== users.other)]).toEqual([
        expect.stringMatching(/^(ok|invalid_argument)$/),
        [],
      ]);
    }
  });
});

describe("what a caller says of itself", () => {
  const claims = (): Record<string, string> => ({
    "x-user-id": shop.users.owner,
    "x-userid": shop.users.owner,
    "x-user-roles": "ROLE_ADMIN",
    "x-role": "admin",
    "x-roles": "ROLE_ADMIN,ROLE_SERVICE",
    "x-admin": "true",
    "x-customer-id": shop.users.owner,
    "x-auth-user": shop.users.owner,
    "x-auth-request-user": shop.users.owner,
    "x-remote-user": shop.users.owner,
    "x-service": "order",
    "x-bodega-user-id": shop.users.owner,
    "x-bodega-roles": "ROLE_SERVICE",
    "x-bodega-client-address": "10.0.0.1",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-user": shop.users.owner,
    "x-forwarded-host": "bodega.internal",
    "x-real-ip": "127.0.0.1",
    forwarded: "for=127.0.0.1;by=gateway",
    "x-original-url": "/v1/products",
    "x-http-method-override": "GET",
    cookie: `authorization=Bearer ${shop.tokens.admin}; access_token=${shop.tokens.admin}`,
    "proxy-authorization": `Bearer ${shop.tokens.admin}`,
  });

  test("changes nothing: nobody is nobody, another is another, staff is no admin", async () => {
    const { getOrder } = OrderService.method;
    const { getInfo } = OpsService.method;
    const request = { orderId: shop.orderId };
    for (const call of [
      (more: object) => callRest(edge, getOrder, request, more),
      (more: object) => callConnect(edge, getOrder, JSON.stringify(request), more),
      (more: object) => callRest(edge, getOrder, request, { ...bearer(shop.tokens.other), ...more }),
      (more: object) => callConnect(edge, getInfo, "{}", { ...bearer(shop.tokens.kitchen), ...more }),
    ]) {
      const plain = await call({});
      const claimed = await call(claims());
      expect(plain.code).toBeOneOf(["unauthenticated", "not_found", "permission_denied"]);
      expect(shape(claimed, request)).toEqual(shape(plain, request));
    }
  });

  test("an access token in the query is none", async () => {
    const { url } = edge;
    for (const name of ["access_token", "token", "authorization"]) {
      const res = await fetch(`${url}/v1/orders/${shop.orderId}?${name}=${shop.tokens.owner}`);
      expect([res.status, await res.text()]).toEqual([401, expect.not.stringContaining(shop.users.owner)]);
    }
  });

  test("an address of its own choosing buys no new budget, unless a proxy that is trusted says it", async () => {
    const left = async (trustedProxies: string[]) => {
      const config = { ...readConfig({ PORT: "0", GRPC_PORT: "0", OPS_PORT: "0" }), trustedProxies };
      // A clock that stands still: nothing comes back to a budget.
      const locks = createEmbeddedLocks(() => 0, system.random.id);
      const limited = await startLiveEdge(system, { config, locks });
      try {
        const remaining: number[] = [];
        for (const address of ["203.0.113.1", "198.51.100.1", "192.0.2.1"]) {
          const res = await fetch(`${limited.url}/v1/products`, {
            headers: { "x-forwarded-for": address, "x-bodega-client-address": address, "x-real-ip": address },
          });
          remaining.push(Number(res.headers.get("ratelimit-remaining")));
          await res.text();
        }
        return remaining.map((each) => each - (remaining[0] ?? 0));
      } finally {
        await limited.close();
      }
    };
    expect(await left([])).toEqual([0, -1, -2]);
    expect(await left(["127.0.0.1"])).toEqual([0, 0, 0]);
  });
});

test("over gRPC the same: the owner, another, nobody, and one who claims to be somebody", async () => {
  const orders = createClient(OrderService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
  const { orderId, tokens, users } = shop;
  const asked = (headers: Record<string, string>) =>
    orders.getOrder({ orderId }, { headers }).then(({ order }) => order?.customerId, ConnectError.from);
  const code = async (headers: Record<string, string>) => ConnectError.from(await asked(headers)).code;
  expect(await asked(bearer(tokens.owner))).toBe(users.owner);
  expect(await code(bearer(tokens.other))).toBe(Code.NotFound);
  for (const token of [undefined, tokens.expired, tokens.garbage, tokens.tampered])
    expect(await code(bearer(token))).toBe(Code.Unauthenticated);
  expect(await code({ "x-user-id": users.owner, "x-bodega-client-address": "10.0.0.1" })).toBe(Code.Unauthenticated);
  const watched = orders.watchOrder({ orderId }, { headers: bearer(tokens.other) })[Symbol.asyncIterator]();
  expect(await watched.next().then(String, (error) => ConnectError.from(error).code)).toBe(Code.NotFound);
});
