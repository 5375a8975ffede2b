import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:http2";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Hono } from "hono";
import { AuthService, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StartError } from "../../packages/database/start-error.ts";
import { createEdge, SLOW, TICKET } from "../../tests/kit/edge.ts";
import { createBounds } from "./admission/bounds.ts";

type Edge = Awaited<ReturnType<typeof createEdge>>;
type Listening = Awaited<ReturnType<Edge["gateway"]["listen"]>>;

const FORGED = {
  "x-bodega-client-address": "6.6.6.6",
  "x-user-id": "root",
  "x-forwarded-for": "6.6.6.6",
  forwarded: "for=6.6.6.6",
  "x-real-ip": "6.6.6.6",
  "x-roles": "ROLE_ADMIN",
};

const pages = new Hono();
pages.get("/pay/:id", (c) =>
  c.html("<form method=post></form>", 200, { "content-security-policy": "form-action 'self'" }),
);
pages.post("/webhooks/embedded", async (c) => c.text(await c.req.text()));

let edge: Edge;
let up: Listening;
let base: string;
beforeAll(async () => {
  edge = await createEdge({ pages: { paths: ["/pay/:id", "/webhooks/:provider"], fetch: pages.fetch } });
  up = await edge.gateway.listen();
  base = `http://127.0.0.1:${up.port}`;
});
afterAll(() => up.close());

describe("what comes in", () => {
  test("identity and addresses are not believed from outside, on either listener", async () => {
    await createClient(ProductService, createConnectTransport({ baseUrl: base })).listProducts({}, { headers: FORGED });
    await createClient(
      ProductService,
      createGrpcTransport({ baseUrl: `http://127.0.0.1:${up.grpcPort}` }),
    ).listProducts({}, { headers: FORGED });
    await fetch(`${base}/v1/products`, { headers: FORGED });
    expect(edge.callers.slice(-3)).toMatchObject(Array(3).fill({ address: "127.0.0.1", userId: "", roles: [] }));
  });

  test("a proxy's word on the address is taken from proxies that are trusted", async () => {
    const behind = await createEdge({ config: { trustedProxies: ["127.0.0.0/8", "10.0.0.7"] } });
    const listening = await behind.gateway.listen();
    const forwarded = { "x-forwarded-for": "6.6.6.6, 203.0.113.9, 10.0.0.7", "x-forwarded-proto": "https" };
    const res = await fetch(`http://127.0.0.1:${listening.port}/v1/products`, { headers: forwarded });
    expect(behind.callers).toMatchObject([{ address: "203.0.113.9" }]);
    expect(res.headers.get("strict-transport-security")).toBe("max-age=31536000");
    await listening.close();
  });

  test("a well-formed request id is kept, another is made", async () => {
    const idOf = async (sent: string) =>
      (await fetch(`${base}/v1/products`, { headers: { "x-request-id": sent } })).headers.get("x-request-id");
    expect(await idOf("order-1.2")).toBe("order-1.2");
    expect(await idOf("two words")).toMatch(/^[0-9a-f]{32}$/);
  });

  test("the trace goes on through log lines and refusals", async () => {
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, ...(await edge.bearer(Role.KITCHEN)) };
    const res = await fetch(`${base}/v1/tickets/${TICKET}:markReady`, { method: "POST", headers });
    expect(await res.json()).toMatchObject({ status: 500, trace_id: traceId });
    expect(edge.lines.find(({ event }) => event === "rpc.failed")).toMatchObject({ trace_id: traceId });
  });
});

describe("what goes out", () => {
  test("every answer carries its request id and the headers that keep browsers safe", async () => {
    for (const path of ["/", "/v1/products", "/v1/nothing", "/healthz"]) {
      const { headers } = await fetch(base + path);
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
      expect(headers.has("strict-transport-security")).toBe(false);
    }
  });

  test("pages of services are served, with their own policy", async () => {
    const page = await fetch(`${base}/pay/1`);
    expect(page.headers.get("content-security-policy")).toBe("form-action 'self'");
    const hook = await fetch(`${base}/webhooks/embedded`, { method: "POST", body: "raw" });
    expect(await hook.text()).toBe("raw");
  });

  test("pages of any origin may call, without credentials, and read the limits", async () => {
    const asked = {
      origin: "https://shop.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "connect-protocol-version",
    };
    const preflight = await fetch(`${base}/bodega.kitchen.v1.KitchenService/ListTickets`, {
      method: "OPTIONS",
      headers: asked,
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("connect-protocol-version");
    const res = await fetch(`${base}/v1/products`, { headers: { origin: "https://shop.example" } });
    expect(res.headers.get("access-control-allow-origin")).toBe("*");
    expect(res.headers.get("access-control-expose-headers")).toContain("ratelimit");
    expect(res.headers.has("access-control-allow-credentials")).toBe(false);
  });

  test("origins can be named, and then others may not", async () => {
    const strict = await createEdge({ config: { corsOrigins: ["https://shop.example"] } });
    const allowed = async (origin: string) =>
      (await strict.gateway.fetch(new Request("http://edge/v1/products", { headers: { origin } }))).headers.get(
        "access-control-allow-origin",
      );
    expect([await allowed("https://shop.example"), await allowed("https://evil.example")]).toEqual([
      "https://shop.example",
      null,
    ]);
  });
});

describe("pages", () => {
  test("the first page is text for programs and HTML for browsers", async () => {
    expect(await (await fetch(base)).text()).toContain("/openapi.json");
    const html = await fetch(base, { headers: { accept: "text/html" } });
    expect(html.headers.get("content-type")).toContain("text/html");
  });

  test("the signing keys are those of auth", async () => {
    const res = await fetch(`${base}/.well-known/jwks.json`);
    expect(await res.json()).toMatchObject({ keys: [{ kid: "test", crv: "Ed25519" }] });
    expect(res.headers.get("cache-control")).toBe("public, max-age=60");
  });

  test("ready is when every service's database answers", async () => {
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    const broken = await createEdge({ database: () => Promise.reject(new Error("gone")) });
    const res = await broken.gateway.fetch(new Request("http://edge/readyz"));
    expect([res.status, await res.json()]).toMatchObject([
      503,
      { status: "not ready", services: { kitchen: "unreachable" } },
    ]);
  });

  test("ready is when somebody has told the time, where it is asked for", async () => {
    let skewMs: number | undefined;
    const { gateway } = await createEdge({ skewMs: () => skewMs });
    const status = async () => (await gateway.fetch(new Request("http://edge/readyz"))).status;
    expect(await status()).toBe(503);
    skewMs = 7_200_000;
    expect(await status()).toBe(200);
  });

  test("metrics and details are on the operator's port", async () => {
    const ops = `http://127.0.0.1:${up.opsPort}`;
    expect(await (await fetch(`${ops}/metrics`)).text()).toContain(
      'bodega_backlog{service="kitchen",kind="scheduled"} 7',
    );
    expect(await (await fetch(`${ops}/health`)).json()).toMatchObject({
      status: "ready",
      services: { kitchen: { database: "ok", backlog: { parked: 3 } } },
    });
    expect((await fetch(`${base}/metrics`)).status).toBe(404);
  });
});

describe("calls", () => {
  test("one that takes too long is over after ten seconds at most, and its work is told to stop", async () => {
    const verifier = { verify: () => Promise.reject(new Error("not asked")) };
    const told = Promise.withResolvers<void>();
    const method = ProductService.method.getProduct;
    const call = (_: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise<never>(() => signal.addEventListener("abort", () => told.resolve(), { once: true }));
    const rpc = createBounds({ verifier, clock: edge.clock, unaryMsMax: 5 })({ kind: "unary", method, call });
    if (rpc.kind !== "unary") throw new Error("expected a unary RPC");
    const error = await rpc
      .call({ $typeName: method.input.typeName }, { headers: new Headers(), signal: new AbortController().signal })
      .catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.DeadlineExceeded, rawMessage: "GetProduct took longer than 5 ms" });
    await told.promise;
  });

  test("a client's own deadline holds over gRPC too", async () => {
    const client = createClient(ProductService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${up.grpcPort}` }));
    const error = await client.getProduct({ productId: SLOW }, { timeoutMs: 30 }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.DeadlineExceeded });
  });

  test("what services ask of each other is not there for the outside", async () => {
    const hidden = await edge.gateway.fetch(
      new Request("http://edge/bodega.points.v1.PointsService/PrepareHold", { method: "POST" }),
    );
    expect(hidden.status).toBe(404);
  });

  test("over h2c on the same port", async () => {
    const session = connect(base);
    const stream = session.request({ ":path": "/healthz" });
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
    expect(headers[":status"]).toBe(200);
    session.destroy();
  });
});

describe("coming and going", () => {
  test("a port that is taken is a sentence with the port and its variable", async () => {
    for (const [config, variable] of [
      [{ port: up.port }, "PORT"],
      [{ opsPort: up.port }, "OPS_PORT"],
      [{ grpcPort: up.port }, "GRPC_PORT"],
    ] as const) {
      const error = await (await createEdge({ config })).gateway.listen().catch((error: unknown) => error);
      expect(error).toBeInstanceOf(StartError);
      expect(String(error)).toContain(`Port ${up.port} on 127.0.0.1 is taken`);
      expect(String(error)).toEndWith(`with ${variable}.`);
    }
  });

  test("going down ends streams with a word, lets calls end and takes no new ones", async () => {
    const other = await createEdge();
    const listening = await other.gateway.listen();
    const url = `http://127.0.0.1:${listening.port}`;
    const headers = await other.bearer(Role.KITCHEN);
    const watch = async (transport: ReturnType<typeof createConnectTransport>) => {
      let started = () => {};
      const first = new Promise<void>((resolve) => {
        started = resolve;
      });
      const ended = (async () => {
        for await (const _ of createClient(KitchenService, transport).watchTickets({}, { headers })) started();
      })().catch(ConnectError.from);
      await first;
      return { ended };
    };
    const streams = [
      await watch(createConnectTransport({ baseUrl: url })),
      await watch(createGrpcTransport({ baseUrl: `http://127.0.0.1:${listening.grpcPort}` })),
    ];
    await listening.close();
    for (const { ended } of streams)
      expect(await ended).toMatchObject({
        code: Code.Unavailable,
        rawMessage: "this server is going down: call again",
      });
    expect(await fetch(`${url}/healthz`).catch(() => "refused")).toBe("refused");
  });
});

test("who is told to end says so first, and answers until load balancers have seen it", async () => {
  const other = await createEdge({ config: { drainMs: 5_000 } });
  const listening = await other.gateway.listen();
  const ask = (path: string) => fetch(`http://127.0.0.1:${listening.port}${path}`);
  expect((await ask("/healthz")).status).toBe(200);
  const closed = listening.close();
  const [health, ready, call] = await Promise.all(["/healthz", "/readyz", "/v1/products"].map(ask));
  expect([health?.status, ready?.status, call?.status]).toEqual([503, 503, 200]);
  await closed;
  expect(await ask("/healthz").catch(() => "refused")).toBe("refused");
});

test("a streamed call stays open while nothing is said, until its client goes", async () => {
  const abort = new AbortController();
  const client = createClient(KitchenService, createConnectTransport({ baseUrl: base }));
  const seen: bigint[] = [];
  const headers = await edge.bearer(Role.KITCHEN);
  const ended = (async () => {
    for await (const { ticket } of client.watchTickets({}, { headers, signal: abort.signal })) {
      seen.push(ticket?.version ?? 0n);
      if (seen.length === 2) abort.abort();
    }
  })().catch(ConnectError.from);
  expect(await ended).toMatchObject({ code: Code.Canceled });
  expect(seen).toEqual([1n, 2n]);
});

test("AuthService answers with its keys over Connect as well", async () => {
  const { jwks } = await createClient(AuthService, createConnectTransport({ baseUrl: base })).getSigningKeys({});
  expect(JSON.parse(jwks)).toHaveProperty("keys");
});

test("all this left no failure of the edge in the log", () => {
  const failed = edge.lines.filter(({ event }) => /^(?:edge|rest|grpc|metrics)\./.test(event));
  expect(failed).toEqual([]);
});
