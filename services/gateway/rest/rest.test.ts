import { describe, expect, test } from "bun:test";
import { getOption, hasOption } from "@bufbuild/protobuf";
import { Role } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { http } from "../../../packages/api/gen/google/api/annotations_pb.ts";
import type { Rpc } from "../../../packages/service/wire/rpc.ts";
import { allServices, createEdge, MISSING, TICKET } from "../../../tests/kit/edge.ts";
import { createRoutes } from "../routes.ts";

const edge = await createEdge();
const admin = await edge.bearer(Role.ADMIN);
const PRODUCT = { requestId: "r", sku: "SKU", name: "Soup", price: { currencyCode: "EUR", minorUnits: "100" } };

function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const type = body === undefined ? {} : { "content-type": "application/json" };
  const init = { method, headers: { ...admin, ...type, ...headers }, ...sent };
  return edge.gateway.fetch(new Request(`http://edge${path}`, init as RequestInit));
}

test("every RPC with an http rule is reached by its path, and by no other's", async () => {
  const methods = (await allServices())
    .flatMap((service) => service.methods)
    .filter((method) => hasOption(method, http));
  const rpcs = methods.map((method) => ({ kind: method.methodKind, method, call: () => {} }) as unknown as Rpc);
  const routes = createRoutes(rpcs);
  expect(methods.length).toBeGreaterThan(40);
  for (const method of methods) {
    const rule = getOption(method, http);
    for (const { pattern } of [rule, ...rule.additionalBindings]) {
      const path = String(pattern.value).replace(/\{(\w+)\}/g, (_, name) => `value-of-${name}`);
      const match = routes.find(String(pattern.case).toUpperCase(), path);
      if (!match || !("route" in match)) throw new Error(`${path} leads nowhere`);
      expect(match.route.rpc.method.name).toBe(method.name);
      expect(match.values.map(([field, value]) => [field.name, value])).toEqual(
        match.values.map(([field]) => [field.name, `value-of-${field.name}`]),
      );
    }
  }
});

describe("requests", () => {
  test("a path's values, with and without a verb, and percent-encoded", async () => {
    expect(await (await call("GET", `/v1/products/${TICKET}`)).json()).toMatchObject({
      product: { productId: TICKET },
    });
    const accepted = await call("POST", `/v1/tickets/${TICKET.replace("-", "%2D")}:accept`);
    expect(await accepted.json()).toMatchObject({ ticket: { ticketId: TICKET, status: "TICKET_STATUS_ACCEPTED" } });
  });

  test("the path wins over the body", async () => {
    const res = await call("PATCH", `/v1/products/${TICKET}`, {
      productId: MISSING,
      expectedVersion: "1",
      name: "New",
    });
    expect(await res.json()).toMatchObject({ product: { productId: TICKET, name: "New" } });
  });

  test("query parameters in both cases of their names, enums by name, numbers and times", async () => {
    const one = await call("GET", "/v1/products?query=soup%20%26&price_min=9007199254740993&pageSize=7");
    expect(await one.json()).toMatchObject({
      products: [{ name: "soup &", version: "9007199254740993", available: 7 }],
    });
    const two = await call("GET", "/v1/tickets?status=TICKET_STATUS_READY");
    expect(await two.json()).toMatchObject({ tickets: [{ status: "TICKET_STATUS_READY" }] });
    const three = await call("GET", `/v1/products/${TICKET}/history?at=2026-01-05T08:00:00Z`);
    expect(await three.json()).toMatchObject({ events: [{ at: "2026-01-05T08:00:00Z" }] });
  });

  test("a query that cannot be meant is refused by its name", async () => {
    for (const [query, field] of [
      ["statuss=READY", "statuss"],
      ["status=READY", "status"],
      ["page_size=1&page_size=2", "page_size"],
      ["page_size=many", "page_size"],
    ]) {
      const res = await call("GET", `/v1/tickets?${query}`);
      expect(res.status).toBe(400);
      expect(await res.json()).toMatchObject({ reason: "INVALID_ARGUMENT", violations: [{ field }] });
    }
  });

  test("Idempotency-Key, quoted or bare, is the request_id that is left out", async () => {
    const { requestId: _, ...keyless } = PRODUCT;
    await call("POST", "/v1/products", keyless, { "idempotency-key": "bare" });
    await call("POST", "/v1/products", keyless, { "idempotency-key": '"quoted"' });
    await call("POST", "/v1/products", PRODUCT, { "idempotency-key": "r" });
    expect(edge.created.slice(-3).map(({ requestId }) => requestId)).toEqual(["bare", "quoted", "r"]);
    const without = await call("POST", "/v1/products", keyless);
    expect(await without.json()).toMatchObject({ violations: [{ field: "request_id" }] });
  });

  test("unknown fields of a body are ignored, as over Connect", async () => {
    expect((await call("POST", "/v1/products", { ...PRODUCT, colour: "red" })).status).toBe(200);
  });

  test("a compressed body is read", async () => {
    const body = Bun.gzipSync(JSON.stringify(PRODUCT)) as never;
    const headers = { ...admin, "content-type": "application/json", "content-encoding": "gzip" };
    const res = await edge.gateway.fetch(new Request("http://edge/v1/products", { method: "POST", body, headers }));
    expect(res.status).toBe(200);
  });
});

describe("answers", () => {
  test("zeros are written, enums by name, 64-bit integers as strings", async () => {
    expect(await (await call("GET", "/v1/tickets")).json()).toMatchObject({
      nextPageToken: "",
      tickets: [{ status: "TICKET_STATUS_QUEUED", version: "1", lines: [], staff: "" }],
    });
  });

  test("long ones are compressed for who accepts it", async () => {
    const res = await call("GET", `/v1/products/${TICKET}`, undefined, { "accept-encoding": "gzip" });
    expect(res.headers.get("content-encoding")).toBe("gzip");
    const text = new TextDecoder().decode(Bun.gunzipSync(await res.arrayBuffer()));
    expect(JSON.parse(text)).toMatchObject({ product: { productId: TICKET } });
  });

  test("a stream is one message a line, until the client goes", async () => {
    const res = await call("GET", "/v1/tickets:watch");
    expect(res.headers.get("content-type")).toBe("application/x-ndjson");
    const reader = (res.body ?? new ReadableStream()).getReader();
    let text = "";
    while (text.split("\n").length < 3) text += new TextDecoder().decode((await reader.read()).value);
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).ticket.version),
    ).toEqual(["1", "2"]);
    await reader.cancel();
  });

  test("a stream ends with its token, and says so in its last line", async () => {
    const shortLived = await createEdge();
    const token = await shortLived.bearer(Role.KITCHEN);
    const res = await shortLived.gateway.fetch(new Request("http://edge/v1/tickets:watch", { headers: token }));
    const reader = (res.body ?? new ReadableStream()).getReader();
    let text = new TextDecoder().decode((await reader.read()).value);
    shortLived.clock.advance(11 * 60_000);
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read())
      text += new TextDecoder().decode(chunk.value);
    expect(JSON.parse(text.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      error: { status: 401, code: "unauthenticated" },
    });
  });
});

describe("refusals are problem+json", () => {
  const cases: [string, () => Promise<Response>, number, object][] = [
    [
      "not found",
      () => call("POST", `/v1/tickets/${MISSING}:accept`),
      404,
      { reason: "TICKET_NOT_FOUND", code: "not_found" },
    ],
    ["against the rules", () => call("GET", "/v1/products/1"), 400, { violations: [{ field: "product_id" }] }],
    [
      "refused by the service",
      () => call("POST", "/v1/products", { ...PRODUCT, sku: "TAKEN" }),
      400,
      { violations: [{ field: "sku", description: "is taken" }] },
    ],
    ["nobody", () => call("GET", "/v1/tickets", undefined, { authorization: "" }), 401, { code: "unauthenticated" }],
    [
      "a stream for nobody",
      () => call("GET", "/v1/tickets:watch", undefined, { authorization: "" }),
      401,
      { code: "unauthenticated" },
    ],
    [
      "an unknown path",
      () => call("GET", "/v1/nothing"),
      404,
      { code: "not_found", detail: "there is nothing at /v1/nothing" },
    ],
    ["a broken path", () => call("GET", "/v1/products/%E0%A4%A"), 404, {}],
    ["an unknown verb", () => call("POST", `/v1/tickets/${TICKET}:eat`), 404, {}],
    ["the wrong method", () => call("DELETE", "/v1/tickets"), 405, {}],
    [
      "no JSON",
      () => call("POST", "/v1/products", "sku=1", { "content-type": "application/x-www-form-urlencoded" }),
      415,
      {},
    ],
    ["an unknown encoding", () => call("POST", "/v1/products", PRODUCT, { "content-encoding": "zstd" }), 415, {}],
    ["malformed JSON", () => call("POST", "/v1/products", "{"), 400, { code: "invalid_argument" }],
    ["a list for an object", () => call("POST", "/v1/products", "[]"), 400, {}],
    [
      "a body too large",
      () => call("POST", "/v1/products", `"${"x".repeat(1_048_576)}"`),
      413,
      { code: "resource_exhausted" },
    ],
    ["JSON too deep", () => call("POST", "/v1/products", `{"a":${"[".repeat(101)}${"]".repeat(101)}}`), 400, {}],
    ["a bug", () => call("POST", `/v1/tickets/${TICKET}:markReady`), 500, { reason: "INTERNAL" }],
  ];
  for (const [name, send, status, fields] of cases) {
    test(name, async () => {
      const res = await send();
      expect(res.headers.get("content-type")).toBe("application/problem+json");
      const problem = (await res.json()) as { trace_id: string; detail: string; type: string };
      expect({ ...problem, http: res.status }).toMatchObject({ http: status, status, ...fields });
      expect(problem.trace_id).toMatch(/^[0-9a-f]{32}$/);
      expect(problem.type).toStartWith("urn:bodega:problem:");
      expect(JSON.stringify(problem)).not.toContain("secret");
    });
  }

  test("a 405 names what is allowed, a 401 how to come in", async () => {
    expect((await call("DELETE", "/v1/tickets")).headers.get("allow")).toBe("GET, HEAD");
    expect((await call("GET", "/v1/tickets", undefined, { authorization: "" })).headers.get("www-authenticate")).toBe(
      "Bearer",
    );
    expect((await call("POST", "/healthz")).headers.get("allow")).toBe("GET, HEAD");
  });
});
