import { afterAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createClient, createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  AcceptTicketRequestSchema,
  KitchenService,
  ListTicketsRequestSchema,
} from "../../api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { createLog, type Line } from "../../telemetry/log.ts";
import { notFound } from "../errors.ts";
import { ACCEPT_COMPRESSION, pathOf, serveRoutes } from "./http.ts";

const BYTES_MAX = 4_096;

function routes(router: ConnectRouter): void {
  router.service(KitchenService, {
    listTickets(request, context) {
      context.responseHeader.set("x-one", "1");
      context.responseTrailer.set("x-last", "2");
      return { tickets: [{ ticketId: request.orderId }], nextPageToken: "x".repeat(request.pageSize * 100) };
    },
    async acceptTicket({ ticketId }, { signal }) {
      if (ticketId === "slow") await new Promise((resolve) => signal.addEventListener("abort", resolve));
      if (ticketId === "bug") throw new Error("secret");
      if (ticketId === "unwritable") return { ticket: { queuedAt: { seconds: 2n ** 62n } } };
      const error = notFound("ticket", ticketId);
      error.metadata.set("x-why", "gone");
      throw error;
    },
    async *watchTickets() {
      yield { ticket: { ticketId: "a" } };
      yield { ticket: { ticketId: "b" } };
    },
  });
}

function serve(fetch: (req: Request) => Promise<Response> | Response) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, http2: true, fetch });
  afterAll(() => server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

const lines: Line[] = [];
const answer = serveRoutes(routes, { readMaxBytes: BYTES_MAX, log: createLog((line) => lines.push(line)) });
const ours = serve((req) => answer(req) ?? new Response(null, { status: 404 }));
const router = createConnectRouter({ grpc: false, readMaxBytes: BYTES_MAX, acceptCompression: ACCEPT_COMPRESSION });
routes(router);
const library = new Map(router.handlers.map((handler) => [handler.requestPath, createFetchHandler(handler)]));
const theirs = serve((req) => library.get(pathOf(req.url))?.(req) ?? new Response(null, { status: 404 }));

const LIST = "/bodega.kitchen.v1.KitchenService/ListTickets";
const ACCEPT = "/bodega.kitchen.v1.KitchenService/AcceptTicket";
const json = (body: string, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body,
  headers: { "content-type": "application/json", "accept-encoding": "identity", ...headers },
});
const proto = (body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body,
  headers: { "content-type": "application/proto", "accept-encoding": "identity", ...headers },
});
const listBytes = toBinary(ListTicketsRequestSchema, {
  $typeName: "bodega.kitchen.v1.ListTicketsRequest",
  orderId: "o",
  pageSize: 1,
  pageToken: "",
  status: 0,
});
const acceptBytes = toBinary(AcceptTicketRequestSchema, {
  $typeName: "bodega.kitchen.v1.AcceptTicketRequest",
  ticketId: "t",
});

describe("a unary Connect call is answered as the library answers it", () => {
  const cases: [string, string, RequestInit][] = [
    ["JSON", LIST, json('{"orderId":"o"}')],
    ["JSON with a character set", LIST, json("{}", { "content-type": "application/json; charset=utf-8" })],
    ["JSON with unknown fields", LIST, json('{"no":{"such":["field"]},"order_id":"o"}')],
    ["binary", LIST, proto(listBytes)],
    ["an empty binary body", LIST, proto(new Uint8Array())],
    ["a gzip body", LIST, proto(gzipSync(listBytes), { "content-encoding": "gzip" })],
    ["an empty JSON body", LIST, json("")],
    ["a long answer, gzip accepted", LIST, json('{"pageSize":90}', { "accept-encoding": "gzip, br" })],
    ["an unknown encoding", LIST, json("{}", { "content-encoding": "zstd" })],
    ["a body that is no gzip", LIST, json("{}", { "content-encoding": "gzip" })],
    ["malformed JSON", LIST, json("{")],
    ["JSON of another shape", LIST, json('{"pageSize":"many"}')],
    ["a malformed timeout", LIST, json("{}", { "connect-timeout-ms": "soon" })],
    ["a timeout that is long enough", LIST, json("{}", { "connect-timeout-ms": "5000" })],
    ["a refusal with details and headers", ACCEPT, json('{"ticketId":"t"}')],
    ["a refusal of a binary call", ACCEPT, proto(acceptBytes)],
    ["a bug", ACCEPT, json('{"ticketId":"bug"}')],
    [
      "GET with a message",
      `${LIST}?connect=v1&encoding=json&message=%7B%7D`,
      { headers: { "accept-encoding": "identity" } },
    ],
    ["an unknown content type", LIST, json("{}", { "content-type": "text/plain" })],
    ["a stream's content type", LIST, json("{}", { "content-type": "application/connect+json" })],
    ["a method without an implementation", "/bodega.kitchen.v1.KitchenService/HandOver", json("{}")],
  ];
  for (const [name, path, init] of cases) {
    test(name, async () => {
      const [mine, its] = await Promise.all([fetch(ours + path, init), fetch(theirs + path, init)]);
      const shape = async (res: Response) => ({
        status: res.status,
        headers: [...res.headers].filter(([header]) => header !== "date" && header !== "content-length"),
        body: await res.text(),
      });
      expect(await shape(mine)).toEqual(await shape(its));
    });
  }
});

test("an answer that cannot be written is logged, and a refusal is not", async () => {
  const asked = async (ticketId: string) => {
    lines.length = 0;
    const headers = { "x-request-id": `asked-for-${ticketId}` };
    const { status } = await fetch(ours + ACCEPT, json(JSON.stringify({ ticketId }), headers));
    return [status, lines.map(({ event, path, correlation_id }) => [event, path, correlation_id])];
  };
  expect(await asked("t")).toEqual([404, []]);
  expect(await asked("unwritable")).toEqual([500, [["http.failed", ACCEPT, "asked-for-unwritable"]]]);
});

test("a binary body that is none is the caller's fault", async () => {
  const res = await fetch(ours + LIST, proto(new Uint8Array([255, 255])));
  expect(res.status).toBe(400);
  expect(await res.json()).toMatchObject({ code: "invalid_argument" });
});

test("a binary message in a GET that is none is the caller's fault", async () => {
  for (const query of ["encoding=proto&base64=1&message=AAAA", "encoding=proto&message=%0A%FF"]) {
    const res = await fetch(`${ours}${LIST}?connect=v1&${query}`);
    expect([res.status, ((await res.json()) as { code: string }).code]).toEqual([400, "invalid_argument"]);
  }
});

test("a body over the limit is refused, declared, streamed or unpacked", async () => {
  const large = new Uint8Array(BYTES_MAX + 1);
  async function* chunks() {
    for (let i = 0; i < 10; i++) yield new Uint8Array(1_000);
  }
  const streamed = { ...proto(large), body: chunks() as never };
  for (const init of [proto(large), streamed, proto(gzipSync(large), { "content-encoding": "gzip" })]) {
    const res = await fetch(ours + LIST, init);
    expect(await res.json()).toMatchObject({ code: "resource_exhausted" });
  }
});

test("JSON that is nested too deep is refused before it is parsed", async () => {
  const res = await fetch(ours + LIST, json(`{"a":${"[".repeat(200)}${"]".repeat(200)}}`));
  expect(await res.json()).toMatchObject({
    code: "invalid_argument",
    message: "the JSON is nested deeper than 100 levels",
  });
  const text = await fetch(ours + LIST, json(JSON.stringify({ orderId: `\\"${"[".repeat(200)}` })));
  expect(text.status).toBe(200);
});

test("a call that outlives its client's deadline is answered deadline_exceeded", async () => {
  const client = createClient(KitchenService, createConnectTransport({ baseUrl: ours }));
  const raw = await fetch(ours + ACCEPT, json('{"ticketId":"slow"}', { "connect-timeout-ms": "20" }));
  expect([raw.status, await raw.json()]).toMatchObject([504, { code: "deadline_exceeded" }]);
  const error = await client.acceptTicket({ ticketId: "slow" }, { timeoutMs: 20 }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.DeadlineExceeded });
});

test("a request without a Host is answered", async () => {
  const text = Promise.withResolvers<string>();
  let received = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(ours).port),
    socket: {
      open: (socket) => void socket.write(`GET ${LIST}?connect=v1&encoding=json&message=%7B%7D HTTP/1.0\r\n\r\n`),
      data: (_, data) => {
        received += data.toString();
      },
      close: () => text.resolve(received),
      error: (_, error) => text.reject(error),
    },
  });
  expect(await text.promise).toContain('"tickets"');
});

for (const [name, transport] of [
  ["Connect", createConnectTransport({ baseUrl: ours })],
  ["Connect, binary", createConnectTransport({ baseUrl: ours, useBinaryFormat: true })],
  ["Connect, by GET", createConnectTransport({ baseUrl: ours, useHttpGet: true })],
  ["gRPC-Web", createGrpcWebTransport({ baseUrl: ours })],
] as const) {
  test(`the library's client calls and streams over ${name}`, async () => {
    const client = createClient(KitchenService, transport);
    expect((await client.listTickets({ orderId: "o" })).tickets[0]?.ticketId).toBe("o");
    const seen = [];
    for await (const { ticket } of client.watchTickets({})) seen.push(ticket?.ticketId);
    expect(seen).toEqual(["a", "b"]);
    const error = await client.acceptTicket({ ticketId: "t" }).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "there is no ticket t" });
  });
}
