import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { ServerReflection } from "../../packages/api/gen/grpc/reflection/v1/reflection_pb.ts";
import { createEdge } from "../../tests/kit/edge.ts";

let edge: Awaited<ReturnType<typeof createEdge>>;
let up: Awaited<ReturnType<typeof edge.gateway.listen>>;
beforeAll(async () => {
  edge = await createEdge();
  up = await edge.gateway.listen();
});
afterAll(() => up.close());

/** CreateProduct, which is for admins, with a body that begins and does not end. */
async function begun(path: string, type: string, headers: Record<string, string>) {
  const over = Promise.withResolvers<void>();
  async function* body() {
    yield new TextEncoder().encode('{"sku":');
    await over.promise;
  }
  const init = { method: "POST", headers: { "content-type": type, ...headers }, body: body() as never };
  try {
    const res = await fetch(`http://127.0.0.1:${up.port}${path}`, init);
    return [res.status, ((await res.json()) as { code: string }).code];
  } finally {
    over.resolve();
  }
}

const METHOD = "/bodega.product.v1.ProductService/CreateProduct";
describe.each([
  ["Connect, JSON", METHOD, "application/json"],
  ["Connect, binary", METHOD, "application/proto"],
  ["REST", "/v1/products", "application/json"],
])("over %s", (_, path, type) => {
  test("who may not come in is told before the body is there", async () => {
    expect(await begun(path, type, {})).toEqual([401, "unauthenticated"]);
    expect(await begun(path, type, { authorization: "Bearer a.b.c" })).toEqual([401, "unauthenticated"]);
    expect(await begun(path, type, await edge.bearer(Role.KITCHEN))).toEqual([403, "permission_denied"]);
  });
});

test("over gRPC too, and the connection is as good as before", async () => {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${up.grpcPort}` });
  const products = createClient(ProductService, transport);
  const long = { description: "x".repeat(200_000) };
  for (let call = 0; call < 5; call++)
    expect(await products.createProduct(long).catch(ConnectError.from)).toMatchObject({ code: Code.Unauthenticated });
  expect((await products.listProducts({})).products).toHaveLength(1);
});

test("a refusal at the door is logged with its request, and counted", async () => {
  const ask = (id: string, headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${up.port}/v1/tickets`, { headers: { "x-request-id": id, ...headers } });
  await ask("without-token", {});
  await ask("of-a-customer", await edge.bearer(Role.CUSTOMER));
  const refused = edge.lines.filter(({ event, rpc }) => event === "rpc.refused" && rpc === "ListTickets");
  expect(refused).toMatchObject([
    { correlation_id: "without-token", code: "Unauthenticated" },
    { correlation_id: "of-a-customer", code: "PermissionDenied", message: "ListTickets is for the kitchen" },
  ]);
  const scraped = await (await fetch(`http://127.0.0.1:${up.opsPort}/metrics`)).text();
  for (const { code } of refused)
    expect(scraped).toContain(
      `bodega_rpc_duration_seconds_count{service="gateway",method="ListTickets",code="${code}"} 1\n`,
    );
});

test("reflection is for anyone", async () => {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${up.grpcPort}` });
  const asked = (async function* () {
    yield { messageRequest: { case: "listServices" as const, value: "" } };
  })();
  const answers = await Array.fromAsync(createClient(ServerReflection, transport).serverReflectionInfo(asked));
  expect(answers.map(({ messageResponse }) => messageResponse.case)).toEqual(["listServicesResponse"]);
});
