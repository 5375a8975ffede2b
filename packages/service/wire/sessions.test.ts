// The gRPC port against who holds what it has: connections that never call, calls that never end, more of either than one network may have.
import { afterAll, expect, test } from "bun:test";
import { type ClientHttp2Session, connect } from "node:http2";
import type { ConnectRouter } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { dial } from "../../../tests/kit/raw.ts";
import { KitchenService } from "../../api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { type GrpcListener, listenGrpc } from "./grpc.ts";
import { createOpenLimit } from "./open-limit.ts";
import { SESSION_BOUNDS } from "./sessions.ts";

const SOON_MS = 100;
const LATE_MS = 60_000;
const failures: unknown[] = [];
const opened: GrpcListener[] = [];

function routes(router: ConnectRouter): void {
  router.service(KitchenService, {
    async *watchTickets() {
      for (let version = 1n; version <= 8n; version++) {
        yield { ticket: { version } };
        await Bun.sleep(SOON_MS / 2);
      }
    },
  });
}

async function listen(bounds: Partial<typeof SESSION_BOUNDS>): Promise<GrpcListener> {
  const slow = { ...SESSION_BOUNDS, firstCallMs: LATE_MS, requestMs: LATE_MS, idleMs: LATE_MS };
  const listener = await listenGrpc(routes, {
    hostname: "127.0.0.1",
    port: 0,
    readMaxBytes: 10_000,
    bounds: { ...slow, ...bounds },
    failed: (error) => failures.push(error),
  });
  opened.push(listener);
  return listener;
}
afterAll(async () => {
  await Promise.all(opened.map((each) => each.close(0)));
  expect(failures).toEqual([]);
});

const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);

test.each<[string, Partial<typeof SESSION_BOUNDS>, Uint8Array]>([
  ["that says nothing", { firstCallMs: SOON_MS }, new Uint8Array()],
  ["that greets and never calls", { firstCallMs: SOON_MS }, PREFACE],
  ["that is idle", { idleMs: SOON_MS }, PREFACE],
])("a connection %s is cut", async (_, bounds, bytes) => {
  const { port } = await listen(bounds);
  const raw = await dial(port);
  if (bytes.byteLength > 0) raw.write(bytes);
  await raw.until(() => false);
  expect(raw.ended()).toBe(true);
});

test("a request that does not end is cut, and a stream whose request has come goes on", async () => {
  const { port } = await listen({ requestMs: SOON_MS });
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/bodega.kitchen.v1.KitchenService/WatchTickets",
    "content-type": "application/grpc",
  });
  stream.on("error", () => "being cut is what is waited for");
  stream.write(Buffer.from([0]));
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();

  const client = createClient(KitchenService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
  const seen: bigint[] = [];
  for await (const { ticket } of client.watchTickets({})) seen.push(ticket?.version ?? 0n);
  expect(seen).toHaveLength(8);
});

test("the number of calls at once is announced", async () => {
  const { port } = await listen({ streamsMax: 7 });
  const session = connect(`http://127.0.0.1:${port}`);
  const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
    session.once("remoteSettings", resolve),
  );
  expect(settings.maxConcurrentStreams).toBe(7);
  session.destroy();
});

test("a network has so many connections, and gets the next when it gives one back", async () => {
  const { port } = await listen({ perNetworkMax: 2 });
  /** Whether a call on it is answered. */
  const stands = (session: ClientHttp2Session) =>
    new Promise<boolean>((resolve) => {
      session.once("error", () => resolve(false));
      session.once("close", () => resolve(false));
      const stream = session.request({ ":path": "/nowhere" });
      stream.once("error", () => resolve(false));
      stream.once("response", () => resolve(true));
    });
  const open = () => connect(`http://127.0.0.1:${port}`);
  const sessions = [open(), open()];
  expect(await Promise.all(sessions.map(stands))).toEqual([true, true]);
  expect(await stands(open())).toBe(false);
  sessions[0]?.destroy();
  let again = open();
  while (!(await stands(again))) again = open();
  for (const each of [...sessions, again]) each.destroy();
});

test("places are counted by network and in all, and one given back is there again", () => {
  const open = createOpenLimit(2, 3);
  const [first] = [open.take("a"), open.take("a")];
  expect(open.take("a")).toBeUndefined();
  expect(open.take("b")).toBeDefined();
  expect(open.take("c")).toBeUndefined();
  first?.();
  expect(open.take("c")).toBeDefined();
});
