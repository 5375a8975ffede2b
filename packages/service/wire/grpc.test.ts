import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:http2";
import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { KitchenService } from "../../api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { invalidField } from "../errors.ts";
import { type GrpcListener, listenGrpc } from "./grpc.ts";

const failures: unknown[] = [];
let listener: GrpcListener;
let baseUrl = "";
const entered = Promise.withResolvers<void>();
const left = Promise.withResolvers<void>();
const held = Promise.withResolvers<void>();

function routes(router: ConnectRouter): void {
  router.service(KitchenService, {
    async handOver({ ticketId }, { requestHeader }) {
      if (ticketId === "held") entered.resolve();
      if (ticketId === "held") await held.promise;
      return { ticket: { ticketId, staff: requestHeader.get("x-from") ?? "" } };
    },
    acceptTicket() {
      throw invalidField("ticket_id", "must be a uuid");
    },
    async *watchTickets(_, { signal, requestHeader }) {
      yield { ticket: { ticketId: "a" } };
      yield { ticket: { ticketId: "b" } };
      if (!requestHeader.has("x-stay")) return;
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      left.resolve();
    },
  });
}

const listen = () =>
  listenGrpc(routes, {
    hostname: "127.0.0.1",
    port: 0,
    readMaxBytes: 10_000,
    prepare: (headers, address) => {
      headers["x-from"] = address;
      return () => {};
    },
    failed: (error) => failures.push(error),
  });

beforeAll(async () => {
  listener = await listen();
  baseUrl = `http://127.0.0.1:${listener.port}`;
});
afterAll(() => listener.close(0));

for (const [name, transport] of [
  ["gRPC", () => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
  ["Connect", () => createConnectTransport({ baseUrl, httpVersion: "2" })],
] as const) {
  test(`${name} clients call and stream, and get refusals with their details`, async () => {
    const client = createClient(KitchenService, transport());
    expect((await client.handOver({ ticketId: "t" })).ticket).toMatchObject({ ticketId: "t", staff: "127.0.0.1" });
    const seen = [];
    for await (const { ticket } of client.watchTickets({})) seen.push(ticket?.ticketId);
    expect(seen).toEqual(["a", "b"]);
    const error = await client.acceptTicket({}).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: "ticket_id: must be a uuid" });
    expect(error).toHaveProperty("details.length", 2);
  });
}

test("a message over the limit is refused, and the connection goes on", async () => {
  const client = createClient(KitchenService, createGrpcTransport({ baseUrl }));
  const error = await client.handOver({ ticketId: "x".repeat(200_000) }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.ResourceExhausted });
  expect((await client.handOver({ ticketId: "t" })).ticket?.ticketId).toBe("t");
});

test("a path that is no RPC is answered 404", async () => {
  const session = connect(baseUrl);
  const stream = session.request({ ":path": "/nowhere", ":method": "POST" });
  const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
  expect(headers[":status"]).toBe(404);
  session.destroy();
});

test("closing lets a running call end and takes no new one", async () => {
  const other = await listen();
  const url = `http://127.0.0.1:${other.port}`;
  const client = createClient(KitchenService, createGrpcTransport({ baseUrl: url }));
  const running = client.handOver({ ticketId: "held" });
  await entered.promise;
  const closed = other.close(10_000);
  held.resolve();
  expect((await running).ticket?.ticketId).toBe("held");
  await closed;
  const late = await createClient(KitchenService, createGrpcTransport({ baseUrl: url }))
    .handOver({})
    .catch(ConnectError.from);
  expect(late).toMatchObject({ code: Code.Unavailable });
});

test("a stream whose client goes is told so", async () => {
  const client = createClient(KitchenService, createGrpcTransport({ baseUrl }));
  const gone = new AbortController();
  const watch = async () => {
    const options = { headers: { "x-stay": "1" }, signal: gone.signal };
    for await (const { ticket } of client.watchTickets({}, options)) if (ticket?.ticketId === "b") gone.abort();
  };
  expect(await watch().catch(ConnectError.from)).toMatchObject({ code: Code.Canceled });
  await left.promise;
});

test("a client that speaks no HTTP/2 is cut off, and others go on", async () => {
  const closed = Promise.withResolvers<void>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    socket: {
      open: (socket) => void socket.write(`GET / HTTP/1.1\r\nHost: x\r\n\r\n${"x".repeat(1_000)}`),
      data: () => {},
      close: () => closed.resolve(),
      error: (_, error) => closed.reject(error),
    },
  });
  await closed.promise;
  const client = createClient(KitchenService, createGrpcTransport({ baseUrl }));
  expect((await client.handOver({ ticketId: "t" })).ticket?.ticketId).toBe("t");
});

test("nothing failed on the server's side", () => {
  expect(failures).toEqual([]);
});
