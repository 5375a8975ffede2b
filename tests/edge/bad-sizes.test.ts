import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { brotliCompressSync, constants } from "node:zlib";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { addCustomer, addProduct, place } from "../kit/customers.ts";
import {
  type Answer,
  bearer,
  callBinary,
  callConnect,
  callRest,
  type LiveEdge,
  member,
  send,
  startLiveEdge,
  violationsOf,
} from "../kit/live-edge.ts";
import { type System, startSystem } from "../kit/system.ts";
import { complaint } from "./bad-answers.ts";

setDefaultTimeout(120_000);

let system: System;
let edge: LiveEdge;
let owner: Record<string, string>;
let admin: Record<string, string>;
let orderId: string;
beforeAll(async () => {
  system = await startSystem();
  edge = await startLiveEdge(system);
  const customer = await addCustomer(system);
  orderId = (await place(system, customer, await addProduct(system))).orderId;
  owner = bearer(await system.token(customer));
  admin = bearer(await system.token(system.admin));
});
afterAll(async () => {
  await edge.close();
  await system.close();
});

async function stillAnswers(): Promise<void> {
  expect((await callRest(edge, OrderService.method.getOrder, { orderId }, owner)).code).toBe("ok");
}

describe("size", () => {
  const { placeOrder } = OrderService.method;
  const { checkAvailability } = StockService.method;
  const MIB = 1_048_576;
  const big = (bytes: number) => JSON.stringify({ requestId: "r", lines: [], note: "x".repeat(bytes) });
  const json = { "content-type": "application/json" };

  async function refusedFor(answers: Answer[], code: string): Promise<void> {
    expect(answers.map((answer) => [answer.code, complaint(answer)])).toEqual(answers.map(() => [code, undefined]));
    await stillAnswers();
  }

  test("a body of two MiB, by every way in", async () => {
    await refusedFor(
      [
        await callConnect(edge, placeOrder, big(2 * MIB), owner),
        await callBinary(edge, placeOrder, new Uint8Array(2 * MIB), owner),
        await callConnect(edge, OrderService.method.watchOrder, big(2 * MIB), owner),
        await send(`${edge.url}/v1/orders`, { method: "POST", headers: { ...json, ...owner }, body: big(2 * MIB) }),
      ],
      "resource_exhausted",
    );
  });

  test("a body of two MiB in chunks, without saying how long it is", async () => {
    const body = () => new Blob([big(2 * MIB)]).stream();
    const init = { method: "POST", headers: { ...json, ...owner } };
    await refusedFor(
      [
        await send(`${edge.url}/v1/orders`, { ...init, body: body() }),
        await send(`${edge.url}/${placeOrder.parent.typeName}/PlaceOrder`, { ...init, body: body() }),
      ],
      "resource_exhausted",
    );
  });

  test("a small body that unpacks to 64 MiB", async () => {
    const zeros = Buffer.alloc(64 * MIB);
    const bombs = [
      { body: Bun.gzipSync(zeros), encoding: "gzip" },
      { body: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }), encoding: "br" },
    ];
    for (const { body, encoding } of bombs) {
      expect(body.byteLength).toBeLessThan(MIB);
      const packed = { ...json, ...owner, "content-encoding": encoding };
      await refusedFor(
        [
          await send(`${edge.url}/v1/orders`, { method: "POST", headers: packed, body }),
          await send(`${edge.url}/${placeOrder.parent.typeName}/PlaceOrder`, { method: "POST", headers: packed, body }),
        ],
        "resource_exhausted",
      );
    }
  });

  test("too much over gRPC", async () => {
    const orders = createClient(OrderService, createGrpcTransport({ baseUrl: edge.grpcUrl }));
    const error = await orders
      .placeOrder({ requestId: "x".repeat(2 * MIB) }, { headers: owner })
      .then(String, ConnectError.from);
    expect(member(error, "code")).toBe(Code.ResourceExhausted);
    await stillAnswers();
  });

  test("JSON nested ten thousand deep, in a field that is there and in one that is not", async () => {
    const deep = (name: string) => `{"${name}":${"[".repeat(10_000)}${"]".repeat(10_000)}}`;
    const objects = `{"lines":${'{"lines":['.repeat(10_000)}${"]}".repeat(10_000)}}`;
    for (const body of [deep("lines"), deep("nothing"), objects, "[".repeat(500_000)])
      await refusedFor(
        [
          await callConnect(edge, placeOrder, body, owner),
          await send(`${edge.url}/v1/orders`, { method: "POST", headers: { ...json, ...owner }, body }),
        ],
        "invalid_argument",
      );
  });

  test("a hundred thousand lines, and half a million empty ones in binary", async () => {
    const lines = JSON.stringify({ requestId: "", lines: Array(100_000).fill({}) });
    const binary = (tag: number, count: number) => new Uint8Array(2 * count).map((_, at) => (at % 2 ? 0 : tag));
    const answers = [
      await callConnect(edge, placeOrder, lines, owner),
      await send(`${edge.url}/v1/orders`, { method: "POST", headers: { ...json, ...owner }, body: lines }),
      await callBinary(edge, placeOrder, binary(0x12, 500_000), owner),
      await callBinary(edge, checkAvailability, binary(0x0a, 500_000), owner),
    ];
    await refusedFor(answers, "invalid_argument");
    expect(violationsOf(answers[0] as Answer)).toEqual([
      { field: "lines", description: "must contain no more than 100 item(s)" },
    ]);
  });

  test("a wrong value of half a megabyte is not sent back", async () => {
    const long = "x".repeat(500_000);
    const { getOrder } = OrderService.method;
    const answers = [
      await callConnect(edge, getOrder, JSON.stringify({ orderId: long }), owner),
      await callConnect(edge, placeOrder, JSON.stringify({ requestId: "r", lines: long }), owner),
      await callConnect(edge, placeOrder, JSON.stringify({ requestId: "r", lines: [{ quantity: long }] }), owner),
      await callConnect(edge, placeOrder, `{"requestId": "r", ${long}`, owner),
      await callConnect(edge, ProductService.method.createProduct, `{"price": {"minorUnits": "${long}"}}`, admin),
      await callRest(edge, ProductService.method.createProduct, { price: { minorUnits: long } }, admin),
      await callConnect(edge, placeOrder, JSON.stringify({ requestId: "r", lines: { [long]: 1 } }), owner),
    ];
    await refusedFor(answers, "invalid_argument");
  });
});

describe("what is no HTTP", () => {
  /** What comes back for raw bytes: a status, or nothing when the connection is closed. */
  function raw(bytes: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let got = "";
    const socket = connect(edge.port, "127.0.0.1", () => socket.write(bytes));
    const done = () => {
      socket.destroy();
      resolve(/^HTTP\/1\.1 (\d{3})/.exec(got)?.[1] ?? "closed");
    };
    socket.setTimeout(20_000, () => reject(new Error(`no answer to ${JSON.stringify(bytes.slice(0, 80))}`)));
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      if (got.includes("\r\n\r\n")) done();
    });
    socket.on("close", done);
    socket.on("error", done);
    return promise;
  }
  const head = "POST /v1/orders HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n";

  test.each([
    ["no words of it", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 what is this\r\n\r\n"],
    ["a length that is no number", `${head}Content-Length: many\r\n\r\n{}`],
    ["a length below zero", `${head}Content-Length: -1\r\n\r\n{}`],
    ["two lengths that differ", `${head}Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}`],
    [
      "a length and chunks: what smugglers send",
      `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`,
    ],
    ["a chunk's length that is none", `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    ["a header of 256 KiB", `${head}X-Long: ${"x".repeat(262_144)}\r\n\r\n`],
    ["ten thousand headers", `${head}${"A: b\r\n".repeat(10_000)}\r\n`],
    ["a header's name with a space", `${head}Bad Name: x\r\n\r\n`],
    ["a path of 256 KiB", `GET /${"x".repeat(262_144)} HTTP/1.1\r\nHost: edge\r\n\r\n`],
    ["a path that climbs", "GET /v1/../../../etc/passwd HTTP/1.1\r\nHost: edge\r\n\r\n"],
    ["a path that is no encoding", "GET /v1/products/%zz HTTP/1.1\r\nHost: edge\r\n\r\n"],
    ["a method that is none", "STEAL /v1/orders HTTP/1.1\r\nHost: edge\r\n\r\n"],
    ["an unknown version", "GET /v1/products HTTP/9.9\r\nHost: edge\r\n\r\n"],
  ])("%s is refused, and the next request is answered", async (_, bytes) => {
    expect(await raw(bytes)).toMatch(/^(4\d\d|505|closed)$/);
    await stillAnswers();
  });
});
