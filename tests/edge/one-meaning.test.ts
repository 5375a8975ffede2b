// A request means one thing, whoever reads it: what two readers could read in two ways is refused, in the words of the caller's protocol.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { isServerStream, isUnary } from "../../packages/service/wire/remote.ts";
import { createEdge } from "../kit/edge.ts";
import { describeService } from "../kit/fake-service.ts";
import { exchange } from "../kit/raw.ts";

let edge: Awaited<ReturnType<typeof createEdge>>;
let up: Awaited<ReturnType<typeof edge.gateway.listen>>;
let base: string;
let admin: Record<string, string>;
beforeAll(async () => {
  edge = await createEdge();
  up = await edge.gateway.listen();
  base = `http://127.0.0.1:${up.port}`;
  admin = await edge.bearer(Role.ADMIN);
});
afterAll(() => up.close());

const WIRES: [string, () => Transport][] = [
  ["Connect", () => createConnectTransport({ baseUrl: base })],
  ["Connect GET", () => createConnectTransport({ baseUrl: base, useHttpGet: true })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: base })],
  ["gRPC", () => createGrpcTransport({ baseUrl: `http://127.0.0.1:${up.grpcPort}` })],
];

describe("an RPC that is not there is unimplemented, and so is a stream", () => {
  const { methods } = describeService([{ name: "Nothing" }, { name: "WatchNothing", serverStreaming: true }]);
  async function call(transport: Transport, method: DescMethod) {
    if (isUnary(method)) await transport.unary(method, undefined, undefined, undefined, {});
    if (!isServerStream(method)) return;
    const { message } = await transport.stream(method, undefined, undefined, undefined, one());
    for await (const _ of message) throw new Error("something was heard");
  }
  async function* one() {
    yield {};
  }

  for (const [name, transport] of WIRES)
    test(name, async () => {
      for (const method of methods) {
        const error = await call(transport(), method).then(() => "no error", ConnectError.from);
        expect(error).toMatchObject({
          code: Code.Unimplemented,
          rawMessage: expect.stringContaining("there is no RPC"),
        });
      }
    });

  test("Connect says so with 404 and JSON, gRPC with 200 and trailers, and a path that is no RPC is not found", async () => {
    const post = (path: string, type: string) =>
      fetch(base + path, { method: "POST", headers: { "content-type": type }, body: "{}" });
    const connectAnswer = await post("/bodega.order.v1.OrderService/Nope", "application/json");
    expect([connectAnswer.status, await connectAnswer.json()]).toMatchObject([404, { code: "unimplemented" }]);
    expect((await post("/v1/nope", "application/json")).headers.get("content-type")).toBe("application/problem+json");

    const session = connect(`http://127.0.0.1:${up.grpcPort}`);
    const stream = session.request({
      ":path": "/bodega.order.v1.OrderService/Nope",
      ":method": "POST",
      "content-type": "application/grpc",
    });
    const head = new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
    const trailers = new Promise<Record<string, unknown>>((resolve) => stream.once("trailers", resolve));
    stream.resume();
    expect(await head).toMatchObject({ ":status": 200, "content-type": "application/grpc" });
    expect(await trailers).toMatchObject({ "grpc-status": "12" });
    session.destroy();
  });
});

describe("broken UTF-8 is refused, not mended: two keys must not become one", () => {
  const PRODUCT = `"sku":"S","name":"Soup","price":{"currencyCode":"EUR","minorUnits":"1"}`;
  /** In Latin-1, so that \xff is the byte it looks like: no UTF-8 has it. */
  const withKey = (key: string) => Buffer.from(`{"requestId":"${key}",${PRODUCT}}`, "latin1");
  const enveloped = (body: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
  const PATH = "/bodega.product.v1.ProductService";

  async function post(path: string, type: string, body: Uint8Array): Promise<string> {
    const headers = { ...admin, "content-type": type };
    const answer = await fetch(base + path, { method: "POST", headers, body: new Uint8Array(body) });
    return `${answer.status} ${answer.headers.get("grpc-message") ?? ""}${await answer.text()}`;
  }

  test("in a body over Connect and REST, compressed or not", async () => {
    const before = edge.created.length;
    for (const key of ["a\xff", "a\xfe"]) {
      expect(await post(`${PATH}/CreateProduct`, "application/json", withKey(key))).toStartWith("400 ");
      expect(await post("/v1/products", "application/json", withKey(key))).toStartWith("400 ");
    }
    const headers = { ...admin, "content-type": "application/json", "content-encoding": "gzip" };
    const body = Bun.gzipSync(new Uint8Array(withKey("\xff")));
    expect((await fetch(`${base}${PATH}/CreateProduct`, { method: "POST", headers, body })).status).toBe(400);
    expect(edge.created).toHaveLength(before);
    expect(await post("/v1/products", "application/json", withKey("a\xc3\xbf"))).toStartWith("200 ");
    expect(edge.created.at(-1)?.requestId).toBe("aÿ");
  });

  test("in an envelope over gRPC-Web and of a stream", async () => {
    const before = edge.created.length;
    const web = await post(`${PATH}/CreateProduct`, "application/grpc-web+json", enveloped(withKey("\xff")));
    expect(web).toContain("grpc-status: 3");
    const watch = Buffer.from(`{"nobody":"\xff"}`, "latin1");
    const stream = await post(
      "/bodega.kitchen.v1.KitchenService/WatchTickets",
      "application/connect+json",
      enveloped(watch),
    );
    expect(stream).toContain("invalid_argument");
    expect(edge.created).toHaveLength(before);
  });

  test("in a query, of REST and of a Connect GET in both its encodings", async () => {
    const statusOf = async (path: string) => (await fetch(base + path)).status;
    const get = `${PATH}/ListProducts?connect=v1&encoding=json`;
    const inBase64 = Buffer.from(`{"query":"\xff"}`, "latin1").toString("base64url");
    expect(await statusOf("/v1/products?query=%ff")).toBe(400);
    expect(await statusOf(`${get}&message=%7B%22query%22%3A%22%FF%22%7D`)).toBe(400);
    expect(await statusOf(`${get}&base64=1&message=${inBase64}`)).toBe(400);
    expect(await statusOf("/v1/products?query=%c3%bf%20100%")).toBe(200);
    expect(await statusOf(`${get}&message=%7B%22query%22%3A%22%C3%BF%22%7D`)).toBe(200);
  });
});

describe("what is said twice, and not alike", () => {
  test("a parameter under both of its names, or in the path too, is refused", async () => {
    for (const query of ["tickets?page_size=1&pageSize=2", "tickets?page_size=1&pageSize=1"]) {
      const answer = await fetch(`${base}/v1/${query}`, { headers: admin });
      expect([answer.status, await answer.json()]).toMatchObject([400, { violations: [{ field: "page_size" }] }]);
    }
    const id = "01890000-0000-7000-8000-000000000001";
    const twice = await fetch(`${base}/v1/products/${id}?productId=${id}`);
    expect([twice.status, await twice.json()]).toMatchObject([400, { violations: [{ field: "product_id" }] }]);
  });

  test("an idempotency key in the header and another in the body are refused; the same in both is one", async () => {
    const send = (requestId: string, key: string) =>
      fetch(`${base}/v1/products`, {
        method: "POST",
        headers: { ...admin, "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify({ requestId, sku: "S", name: "Soup", price: { currencyCode: "EUR", minorUnits: "1" } }),
      });
    const before = edge.created.length;
    const other = await send("one", "two");
    expect([other.status, await other.json()]).toMatchObject([400, { violations: [{ field: "request_id" }] }]);
    expect(edge.created).toHaveLength(before);
    expect((await send("one", '"one"')).status).toBe(200);
    expect(edge.created.at(-1)?.requestId).toBe("one");
  });

  test("two Host headers are refused, whether they differ or not", async () => {
    for (const second of ["b", "a"]) {
      const head = await exchange(up.port, `GET /v1/products HTTP/1.1\r\nHost: a\r\nHost: ${second}\r\n\r\n`);
      expect(head).toStartWith("HTTP/1.1 400 ");
    }
    expect(await exchange(up.port, "GET /v1/products HTTP/1.1\r\nHost: a\r\n\r\n")).toStartWith("HTTP/1.1 200 ");
  });
});

test("what may be one person's is kept by no cache, on any protocol", async () => {
  for (const [, transport] of WIRES.filter(([name]) => name !== "gRPC")) {
    let kept: string | null = "nothing";
    const onHeader = (headers: Headers) => {
      kept = headers.get("cache-control");
    };
    await createClient(ProductService, transport()).listProducts({}, { onHeader });
    expect(kept).toBe("no-store");
  }
  for (const path of ["/v1/products", "/v1/nothing", "/readyz"])
    expect((await fetch(base + path)).headers.get("cache-control")).toBe("no-store");
});
