import { afterEach, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { RetryInfoSchema } from "../../packages/api/gen/google/rpc/error_details_pb.ts";
import { type EdgeOptions, openEdge } from "./edge.ts";
import { pauseBefore } from "./retry.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.closeAllConnections();
});

async function edgeWith(routes: (router: ConnectRouter) => void, options: Partial<EdgeOptions> = {}) {
  const server = createServer(connectNodeAdapter({ routes }));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return openEdge({ url: `http://127.0.0.1:${port}`, ...options });
}

function busy(code: Code, retryMs?: number): ConnectError {
  const error = new ConnectError("come back", code);
  const retryDelay = { seconds: 0n, nanos: (retryMs ?? 0) * 1e6 };
  if (retryMs !== undefined) error.details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  return error;
}

/** Answers what a promise was rejected with. */
const refusal = (asked: Promise<unknown>): Promise<ConnectError> =>
  asked.then(
    () => Promise.reject(new Error("expected a refusal, found an answer")),
    (error: unknown) => ConnectError.from(error),
  );

test("an order is placed again under its request_id while the edge is away", async () => {
  const keys: string[] = [];
  const edge = await edgeWith((router) =>
    router.rpc(OrderService.method.placeOrder, ({ requestId }) => {
      keys.push(requestId);
      if (keys.length === 1) throw busy(Code.Unavailable);
      if (keys.length === 2) throw busy(Code.Aborted, 5);
      return { replayed: false };
    }),
  );
  await edge.call(OrderService).placeOrder({ requestId: "k", lines: [] });
  expect(keys).toEqual(["k", "k", "k"]);
});

test.each<
  [
    string,
    (router: ConnectRouter, asked: () => never) => void,
    (edge: Awaited<ReturnType<typeof edgeWith>>) => Promise<unknown>,
  ]
>([
  [
    "what may happen twice",
    (router, asked) => router.rpc(CanaryService.method.calculateSum, asked),
    (edge) => edge.call(CanaryService).calculateSum({ a: 1n, b: 2n }),
  ],
  [
    "what has no request_id where it could have one",
    (router, asked) => router.rpc(OrderService.method.placeOrder, asked),
    (edge) => edge.call(OrderService).placeOrder({ lines: [] }),
  ],
])("%s is sent once", async (_, routes, ask) => {
  let asked = 0;
  const edge = await edgeWith((router) =>
    routes(router, () => {
      asked += 1;
      throw busy(Code.Unavailable, 1);
    }),
  );
  expect((await refusal(ask(edge))).code).toBe(Code.Unavailable);
  expect(asked).toBe(1);
});

test("a refusal is an answer: it is not asked again", async () => {
  let asked = 0;
  const edge = await edgeWith((router) =>
    router.rpc(OrderService.method.placeOrder, () => {
      asked += 1;
      throw busy(Code.FailedPrecondition, 1);
    }),
  );
  await refusal(edge.call(OrderService).placeOrder({ requestId: "k" }));
  expect(asked).toBe(1);
});

test("attempts have an end", async () => {
  let asked = 0;
  const edge = await edgeWith((router) =>
    router.rpc(ProductService.method.listProducts, () => {
      asked += 1;
      throw busy(Code.Unavailable, 1);
    }),
  );
  expect((await refusal(edge.call(ProductService).listProducts({}))).code).toBe(Code.Unavailable);
  expect(asked).toBe(5);
});

test("when it was told when to come back, nobody comes sooner, and not when that is too late", () => {
  expect(pauseBefore(busy(Code.Unavailable, 900), 1, 0, 0)).toBe(900);
  expect(pauseBefore(busy(Code.Unavailable), 1, 0, 0)).toBe(50);
  expect(pauseBefore(busy(Code.Unavailable, 900), 1, 19_500, 0)).toBeUndefined();
  expect(pauseBefore(busy(Code.Aborted), 1, 0, 0)).toBeUndefined();
});

test("an edge that is not there is UNAVAILABLE, by its address", async () => {
  const edge = openEdge({ url: "http://127.0.0.1:1" });
  const { code, rawMessage } = await refusal(edge.call(CanaryService).calculateSum({}));
  expect([code, rawMessage]).toEqual([
    Code.Unavailable,
    expect.stringContaining("http://127.0.0.1:1 cannot be reached"),
  ]);
});

test("a call that is not answered ends at its deadline", async () => {
  const edge = await edgeWith(
    (router) => router.rpc(CanaryService.method.calculateSum, () => new Promise<never>(() => {})),
    { callMs: 50 },
  );
  expect((await refusal(edge.call(CanaryService).calculateSum({}))).code).toBe(Code.DeadlineExceeded);
});

test("a stream that falls silent ends, one that goes on does not", async () => {
  const edge = await edgeWith(
    (router) =>
      router.rpc(OrderService.method.watchOrder, async function* () {
        for (let told = 0; told < 4; told += 1) {
          yield { order: { version: BigInt(told) } };
          await Bun.sleep(60);
        }
        await new Promise<never>(() => {});
      }),
    { silenceMs: 200 },
  );
  const told: bigint[] = [];
  const watch = async () => {
    for await (const { order } of edge.call(OrderService).watchOrder({})) told.push(order?.version ?? -1n);
  };
  expect((await refusal(watch())).code).toBe(Code.DeadlineExceeded);
  expect(told).toEqual([0n, 1n, 2n, 3n]);
});

test("who hangs up waits for nothing: not even the deadline of a silence is left", async () => {
  const edge = await edgeWith(
    (router) =>
      router.rpc(OrderService.method.watchOrder, async function* () {
        yield {};
        await new Promise<never>(() => {});
      }),
    { silenceMs: 100 },
  );
  const hangUp = new AbortController();
  const watch = async () => {
    for await (const _ of edge.call(OrderService).watchOrder({}, { signal: hangUp.signal })) hangUp.abort();
  };
  expect((await refusal(watch())).code).toBe(Code.Canceled);
});

test("a token that is not accepted is replaced once, for a call that may not happen twice too", async () => {
  const sent: (string | null)[] = [];
  const edge = await edgeWith(
    (router) =>
      router.rpc(CanaryService.method.calculateSum, (_, { requestHeader }) => {
        sent.push(requestHeader.get("authorization"));
        if (sent.length === 1) throw new ConnectError("expired", Code.Unauthenticated);
        return { sum: 3n };
      }),
    { token: async (refused) => (refused === undefined ? "old" : `after-${refused}`) },
  );
  expect((await edge.call(CanaryService).calculateSum({})).sum).toBe(3n);
  expect(sent).toEqual(["Bearer old", "Bearer after-old"]);
});
