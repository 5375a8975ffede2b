import { afterAll, beforeAll, expect, test } from "bun:test";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, createClient, createRouterTransport } from "@connectrpc/connect";
import { KitchenService } from "../../api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { ServerReflection, type ServerReflectionRequest } from "../../api/gen/grpc/reflection/v1/reflection_pb.ts";
import { type GrpcListener, listenGrpc } from "./grpc.ts";
import { serveRoutes } from "./http.ts";
import { routeReflection } from "./reflection.ts";

function routes(router: ConnectRouter): void {
  router.service(KitchenService, { handOver: ({ ticketId }) => ({ ticket: { ticketId } }) });
  routeReflection(router, [KitchenService]);
}

async function ask(...asked: ServerReflectionRequest["messageRequest"][]) {
  const client = createClient(ServerReflection, createRouterTransport(routes));
  const requests = (async function* () {
    for (const messageRequest of asked) yield { messageRequest };
  })();
  const answered = [];
  for await (const { messageResponse } of client.serverReflectionInfo(requests)) answered.push(messageResponse);
  return answered;
}

test("the services are listed, reflection in both versions among them", async () => {
  const [list] = await ask({ case: "listServices", value: "" });
  expect(list).toMatchObject({
    value: {
      service: [
        { name: "bodega.kitchen.v1.KitchenService" },
        { name: "grpc.reflection.v1.ServerReflection" },
        { name: "grpc.reflection.v1alpha.ServerReflection" },
      ],
    },
  });
});

test("a file is found by its name and by every name in it, and comes with all it imports", async () => {
  const asked: ServerReflectionRequest["messageRequest"][] = [
    { case: "fileByFilename", value: "bodega/kitchen/v1/kitchen.proto" },
    { case: "fileContainingSymbol", value: "bodega.kitchen.v1.KitchenService.HandOver" },
    { case: "fileContainingSymbol", value: "bodega.kitchen.v1.Ticket.ticket_id" },
    { case: "fileContainingSymbol", value: "google.rpc.ErrorInfo" },
    {
      case: "fileContainingExtension",
      value: {
        $typeName: "grpc.reflection.v1.ExtensionRequest",
        containingType: "google.protobuf.MethodOptions",
        extensionNumber: 50101,
      },
    },
  ];
  // Each on a stream of its own: a stream is told a file once.
  const answers = (await Promise.all(asked.map((each) => ask(each)))).flat();
  for (const answer of answers) {
    if (answer.case !== "fileDescriptorResponse") throw new Error(`expected files, found ${answer.case}`);
    const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const [first] = files;
    if (!first) throw new Error("expected a file");
    const registry = createFileRegistry(first, (name) => files.find((file) => file.name === name));
    expect([...registry.files].length).toBe(files.length);
  }
});

test("a stream is told the schema once, however often it asks, and not for ever", async () => {
  const symbol = { case: "fileContainingSymbol", value: "bodega.kitchen.v1.KitchenService" } as const;
  const sizeOf = (answers: Awaited<ReturnType<typeof ask>>) =>
    answers.map((answer) => (answer.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto.length : 0));
  const [first = 0, ...more] = sizeOf(await ask(symbol, symbol, symbol));
  expect(first).toBeGreaterThan(5);
  expect(more).toEqual([1, 1]);
  const refused = { code: Code.ResourceExhausted };
  const times = (count: number, asked: ServerReflectionRequest["messageRequest"]) =>
    ask(...Array.from({ length: count }, () => asked)).catch(ConnectError.from);
  expect(await times(100, symbol)).toMatchObject({
    ...refused,
    rawMessage: expect.stringContaining("the schema 2 times"),
  });
  const missing = { case: "fileContainingSymbol", value: "no.Such" } as const;
  expect(await times(100, missing)).toHaveLength(100);
  expect(await times(101, missing)).toMatchObject({ ...refused, rawMessage: expect.stringContaining("100 requests") });
});

test("what is not there is not found", async () => {
  const answers = await ask(
    { case: "fileByFilename", value: "no.proto" },
    { case: "fileContainingSymbol", value: "no.Such" },
    { case: undefined },
  );
  expect(answers).toMatchObject([
    { value: { errorCode: 5 } },
    { value: { errorCode: 5 } },
    { value: { errorCode: 3 } },
  ]);
});

test("the numbers of extensions are told", async () => {
  const [answer] = await ask({ case: "allExtensionNumbersOfType", value: "google.protobuf.MethodOptions" });
  expect(answer).toMatchObject({ value: { extensionNumber: expect.arrayContaining([50101, 72295728]) } });
});

let grpc: GrpcListener;
let edge: ReturnType<typeof Bun.serve>;
beforeAll(async () => {
  grpc = await listenGrpc(routes, { hostname: "127.0.0.1", port: 0, readMaxBytes: 100_000, failed: () => {} });
  const answer = serveRoutes(routes, { readMaxBytes: 100_000 });
  const fetch = (req: Request) => answer(req) ?? new Response(null, { status: 404 });
  edge = Bun.serve({ hostname: "127.0.0.1", port: 0, http2: true, fetch });
});
afterAll(async () => {
  await Promise.all([grpc.close(0), edge.stop(true)]);
});

for (const [name, protocol, port] of [
  ["the edge, by Connect", "connect", () => edge.port],
  ["the edge, by gRPC-Web", "grpcweb", () => edge.port],
  ["the gRPC listener", "grpc", () => grpc.port],
] as const) {
  test(`buf curl needs no schema on ${name}`, async () => {
    const url = `http://127.0.0.1:${port()}/bodega.kitchen.v1.KitchenService/HandOver`;
    const command = [
      `${import.meta.dir}/../../../node_modules/.bin/buf`,
      "curl",
      "--http2-prior-knowledge",
      "--protocol",
      protocol,
    ];
    const child = Bun.spawn([...command, "-d", '{"ticketId":"t"}', url], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect(err).toBe("");
    expect(JSON.parse(out)).toEqual({ ticket: { ticketId: "t" } });
  }, 30_000);
}
