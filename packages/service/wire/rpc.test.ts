import { describe, expect, test } from "bun:test";
import {
  create,
  createFileRegistry,
  type DescMethod,
  type DescService,
  fromJson,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { type CallOptions, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describeService } from "../../../tests/kit/fake-service.ts";
import { Role } from "../../api/gen/bodega/auth/v1/auth_pb.ts";
import { Access } from "../../api/gen/bodega/type/v1/access_pb.ts";
import { FieldRulesSchema, field as rulesOf } from "../../api/gen/buf/validate/validate_pb.ts";
import { BadRequestSchema } from "../../api/gen/google/rpc/error_details_pb.ts";
import { createLog, type Line } from "../../telemetry/log.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import type { App } from "../app.ts";
import type { Verifier } from "../caller.ts";
import { notFound, unauthenticated } from "../errors.ts";
import type { AnyHandler } from "../service.ts";
import { bindRpcs, route, validate } from "./rpc.ts";

interface Named {
  name: string;
}

/** The client of the service below. */
interface Fake {
  ask(req: Named, options?: CallOptions): Promise<Named>;
  list(req: Named, options?: CallOptions): AsyncIterable<Named>;
  collect(reqs: AsyncIterable<Named>, options?: CallOptions): Promise<Named>;
  chat(reqs: AsyncIterable<Named>, options?: CallOptions): AsyncIterable<Named>;
  serve(req: Named, options?: CallOptions): Promise<Named>;
}

const service = describeService([
  { name: "Ask", access: Access.ANYONE },
  { name: "List", access: Access.ANYONE, serverStreaming: true },
  { name: "Collect", access: Access.SIGNED_IN, clientStreaming: true },
  { name: "Chat", access: Access.SIGNED_IN, clientStreaming: true, serverStreaming: true },
  { name: "Serve", access: Access.SERVICE },
]);
const verifier: Verifier = {
  async verify(token) {
    if (token !== "ann") throw unauthenticated("the access token is not valid");
    return { userId: token, roles: [Role.CUSTOMER], expiresAt: new Date(8.64e15), fromAuth: true };
  },
};
const CONTEXT = { headers: new Headers(), signal: new AbortController().signal };
const ANN = { headers: { authorization: "Bearer ann" } };

function bound(handlers: Record<string, AnyHandler>, without: string[] = []) {
  const lines: Line[] = [];
  const app = { service: "fake", log: createLog((line) => lines.push(line)), metrics: createMetrics() };
  const unused = async () => ({});
  const all = Object.fromEntries(service.methods.map(({ localName }) => [localName, handlers[localName] ?? unused]));
  // Handlers of this file use nothing of an App but these.
  const rpcs = bindRpcs(app as unknown as App, { answers: [{ service, handlers: all }] }, verifier);
  const offered = rpcs.filter(({ method }) => !without.includes(method.name));
  const client = createClient<DescService>(
    service,
    createRouterTransport((router) => route(router, offered)),
  );
  return { client: client as unknown as Fake, rpcs, lines }; // Its methods are those described above.
}

async function* named(...names: string[]) {
  for (const name of names) yield { name };
}

async function namesOf(items: AsyncIterable<Named>) {
  const names: string[] = [];
  for await (const { name } of items) names.push(name);
  return names;
}

const refusal = (call: Promise<unknown>) => call.then(() => undefined, ConnectError.from);

describe("streams of requests", () => {
  const handlers: Record<string, AnyHandler> = {
    async collect(_, { userId }, reqs: AsyncIterable<Named>) {
      return { name: `${userId}: ${(await namesOf(reqs)).join()}` };
    },
    async *chat(_, { userId }, reqs: AsyncIterable<Named>) {
      for await (const { name } of reqs) yield { name: `${userId}: ${name}` };
    },
  };

  test("are answered once, or each message as it comes", async () => {
    const { client } = bound(handlers);
    expect((await client.collect(named("a", "b"), ANN)).name).toBe("ann: a,b");
    expect(await namesOf(client.chat(named("a", "b"), ANN))).toEqual(["ann: a", "ann: b"]);
  });

  test("are not read from who may not come in", async () => {
    const { rpcs } = bound(handlers);
    let read = 0;
    async function* counted() {
      read += 1;
      yield { $typeName: "bodega.fake.v1.FakeRequest" };
    }
    for (const rpc of rpcs) {
      if (rpc.kind === "client_streaming")
        expect(await refusal(rpc.call(counted(), CONTEXT))).toMatchObject({ code: Code.Unauthenticated });
      if (rpc.kind === "bidi_streaming")
        expect(await refusal(Array.fromAsync(rpc.call(counted(), CONTEXT)))).toMatchObject({
          code: Code.Unauthenticated,
        });
    }
    expect(read).toBe(0);
  });

  test("are refused at the first message that breaks a rule, and what came before has been heard", async () => {
    const { client } = bound(handlers);
    const broken = { code: Code.InvalidArgument, rawMessage: "name: must not contain the character U+0000" };
    expect(await refusal(client.collect(named("a", "\0"), ANN))).toMatchObject(broken);
    const heard: string[] = [];
    const chat = async () => {
      for await (const { name } of client.chat(named("a", "\0"), ANN)) heard.push(name);
    };
    expect(await refusal(chat())).toMatchObject(broken);
    expect(heard).toEqual(["ann: a"]);
  });
});

describe("what goes wrong in a handler", () => {
  const bug = new Error("a secret of the database");
  const throwing = async () => {
    throw bug;
  };
  const streaming = async function* () {
    yield* named("first");
    throw bug;
  };

  test("is opaque for every kind of method, and its cause stays in the process", async () => {
    const { client, lines, rpcs } = bound({ ask: throwing, collect: throwing, list: streaming, chat: streaming });
    for (const call of [
      () => client.ask({ name: "" }),
      () => client.collect(named("a"), ANN),
      () => namesOf(client.list({ name: "" })),
      () => namesOf(client.chat(named("a"), ANN)),
    ]) {
      const error = await refusal(call());
      expect(error?.code).toBe(Code.Internal);
      expect(error?.rawMessage).toMatch(/^something went wrong here; trace [0-9a-f]{32}$/);
      expect(error?.cause).toBeUndefined();
    }
    expect(lines.filter(({ event }) => event === "rpc.failed").map(({ rpc }) => rpc)).toEqual([
      "Ask",
      "Collect",
      "List",
      "Chat",
    ]);
    const ask = rpcs.find((rpc) => rpc.kind === "unary");
    expect((await refusal(ask?.call(create(ask.method.input), CONTEXT) ?? Promise.resolve()))?.cause).toBe(bug);
  });

  test("passes when it is a refusal", async () => {
    const { client } = bound({
      async ask(_, __, { name }: Named) {
        throw notFound("thing", name);
      },
    });
    expect(await refusal(client.ask({ name: "x" }))).toMatchObject({ code: Code.NotFound });
  });
});

test("who stops listening ends the handler where it stands", async () => {
  let ended = false;
  const { rpcs } = bound({
    async *list() {
      try {
        yield* named("a", "b");
      } finally {
        ended = true;
      }
    },
  });
  const list = rpcs.find((rpc) => rpc.kind === "server_streaming");
  for await (const item of list?.call(create(list.method.input), CONTEXT) ?? []) {
    expect(item).toMatchObject({ name: "a" });
    break;
  }
  expect(ended).toBe(true);
});

test("headers and trailers that a handler sets go with its answer", async () => {
  const { client } = bound({
    async ask(_, __, req: Named, ___, { headers, answer }) {
      answer?.headers.set("x-seen", headers.get("x-sent") ?? "");
      answer?.trailers.set("x-done", "yes");
      return req;
    },
  });
  const got: (string | null)[] = [];
  await client.ask(
    { name: "" },
    {
      headers: { "x-sent": "this" },
      onHeader: (headers) => got.push(headers.get("x-seen")),
      onTrailer: (trailers) => got.push(trailers.get("x-done")),
    },
  );
  expect(got).toEqual(["this", "yes"]);
});

test("a method that is not offered is not there, though its neighbours are", async () => {
  const { client } = bound({}, ["Serve"]);
  expect(await client.ask({ name: "" })).toMatchObject({ name: "" });
  expect(await refusal(client.serve({ name: "" }, ANN))).toMatchObject({ code: Code.Unimplemented });
  expect(await refusal(bound({}).client.serve({ name: "" }, ANN))).toMatchObject({ code: Code.PermissionDenied });
});

test("a field that breaks a rule is named with its place in a list or its key in a map", async () => {
  const put = describePut();
  const shelf = { name: "", boxes: [{ name: "a" }, { name: "" }], labels: { "made: in": "" } };
  const error = await refusal(Promise.try(() => validate(put, fromJson(put.input, shelf))));
  expect(error?.findDetails(BadRequestSchema)[0]?.fieldViolations.map(({ field }) => field)).toEqual([
    "name",
    "boxes[1].name",
    'labels["made: in"]',
  ]);
});

/** Its request is a shelf of boxes, which are shelves themselves; names and labels are not empty. */
function describePut(): DescMethod {
  const { OPTIONAL, REPEATED } = FieldDescriptorProto_Label;
  const { STRING, MESSAGE } = FieldDescriptorProto_Type;
  const notEmpty: FieldRulesInit = { type: { case: "string", value: { minLen: 1n } } };
  const string = { label: OPTIONAL, type: STRING };
  const list = { label: REPEATED, type: MESSAGE };
  const labelled = ruled({ type: { case: "map", value: { values: notEmpty } } });
  const field = [
    { ...string, name: "name", number: 1, options: ruled(notEmpty) },
    { ...list, name: "boxes", number: 2, typeName: ".Shelf" },
    { ...list, name: "labels", number: 3, typeName: ".Shelf.LabelsEntry", options: labelled },
  ];
  const pair = [
    { ...string, name: "key", number: 1 },
    { ...string, name: "value", number: 2 },
  ];
  const file = create(FileDescriptorProtoSchema, {
    name: "shelf.proto",
    syntax: "proto3",
    messageType: [
      { name: "Shelf", field, nestedType: [{ name: "LabelsEntry", field: pair, options: { mapEntry: true } }] },
    ],
    service: [{ name: "Shelves", method: [{ name: "Put", inputType: ".Shelf", outputType: ".Shelf" }] }],
  });
  const put = createFileRegistry(file, () => undefined).getService("Shelves")?.method["put"];
  if (!put) throw new Error("expected a method in its own file");
  return put;
}

type FieldRulesInit = MessageInitShape<typeof FieldRulesSchema>;

function ruled(rules: FieldRulesInit) {
  const options = create(FieldOptionsSchema);
  setExtension(options, rulesOf, create(FieldRulesSchema, rules));
  return options;
}
