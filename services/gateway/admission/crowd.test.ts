import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { ProductService } from "../../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { reasonOf, retryAfterMs } from "../../../packages/service/errors.ts";
import { createEdge, SLOW } from "../../../tests/kit/edge.ts";

const UNDER_WAY_MAX = 3;

type Edge = Awaited<ReturnType<typeof createEdge>>;
let up: Awaited<ReturnType<Edge["gateway"]["listen"]>>;
let base: string;
const transports: Record<string, () => Transport> = {
  Connect: () => createConnectTransport({ baseUrl: base }),
  gRPC: () => createGrpcTransport({ baseUrl: `http://127.0.0.1:${up.grpcPort}` }),
};
beforeAll(async () => {
  up = await (await createEdge({ underWayMax: UNDER_WAY_MAX })).gateway.listen();
  base = `http://127.0.0.1:${up.port}`;
});
afterAll(() => up.close());

for (const [protocol, transport] of Object.entries(transports)) {
  describe(`over ${protocol}, when as many calls are under way as may be`, () => {
    test("the next is refused with when to come back, and is let in when one has ended", async () => {
      const products = createClient(ProductService, transport());
      const gone = new AbortController();
      const slow = Array.from({ length: UNDER_WAY_MAX }, () =>
        products.getProduct({ productId: SLOW }, { signal: gone.signal }).catch(ConnectError.from),
      );
      const refusal = await untilRefused(() => products.listProducts({ query: "bread" }));
      expect(Code[refusal.code]).toBe("ResourceExhausted");
      expect([reasonOf(refusal), retryAfterMs(refusal)]).toEqual(["OVERLOADED", 1_000]);
      gone.abort();
      await Promise.all(slow);
      await untilAnswered(() => products.listProducts({ query: "bread" }));
    });
  });
}

test("health is told whatever the crowd, and REST is part of it", async () => {
  const gone = new AbortController();
  const slow = Array.from({ length: UNDER_WAY_MAX }, () =>
    fetch(`${base}/v1/products/${SLOW}`, { signal: gone.signal }).catch((error: unknown) => error),
  );
  const problem = await untilStatus(429, () => fetch(`${base}/v1/products`));
  expect(await problem.json()).toMatchObject({ reason: "OVERLOADED" });
  expect(problem.headers.get("retry-after")).toBe("1");
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  gone.abort();
  await Promise.all(slow);
  await untilStatus(200, () => fetch(`${base}/v1/products`));
});

async function untilRefused(call: () => Promise<unknown>): Promise<ConnectError> {
  for (;;) {
    const refusal = await call().then(() => undefined, ConnectError.from);
    if (refusal) return refusal;
  }
}

async function untilAnswered(call: () => Promise<unknown>): Promise<void> {
  while (
    await call().then(
      () => false,
      () => true,
    )
  );
}

async function untilStatus(status: number, call: () => Promise<Response>): Promise<Response> {
  for (;;) {
    const answer = await call();
    if (answer.status === status) return answer;
    await answer.arrayBuffer();
  }
}
