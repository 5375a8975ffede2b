// Services made of nothing but a descriptor and handlers: for planted bugs that go through the real edge, and for kinds of methods that ours have none of.
import { create, createFileRegistry, type DescService, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { type Access, access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { EdgeService } from "../../packages/service/wire/health.ts";
import { bindRpcs } from "../../packages/service/wire/rpc.ts";
import type { System } from "./system.ts";

/** What a method is by its proto. */
export interface FakeRpc {
  name: string;
  /** Left out: the method has no access rule. */
  access?: Access;
  clientStreaming?: boolean;
  serverStreaming?: boolean;
}

export interface FakeMethod extends Pick<FakeRpc, "name" | "access"> {
  answer(name: string, caller: Caller): string;
}

const PACKAGE = "bodega.fake.v1";

/** FakeService, whose methods take a name and answer a name. */
export function fakeService(system: System, methods: FakeMethod[]): { service: DescService; running: EdgeService } {
  const service = describeService(methods);
  const app = system.app("order");
  const handlers = service.methods.map((method, at) => [
    method.localName,
    async (_: unknown, caller: Caller, { name }: { name: string }) => ({ name: methods[at]?.answer(name, caller) }),
  ]);
  const answers = [{ service, handlers: Object.fromEntries(handlers) }];
  return {
    service,
    running: { name: "fake", ready: async () => {}, rpcs: bindRpcs(app, { answers }, system.platform.verifier) },
  };
}

/** Its messages have one field, `name`. */
export function describeService(methods: FakeRpc[]): DescService {
  const name = { name: "name", number: 1, type: FieldDescriptorProto_Type.STRING };
  const field = { ...name, jsonName: "name", label: FieldDescriptorProto_Label.OPTIONAL };
  const file = create(FileDescriptorProtoSchema, {
    name: "bodega/fake/v1/fake.proto",
    package: PACKAGE,
    syntax: "proto3",
    messageType: ["FakeRequest", "FakeResponse"].map((message) => ({ name: message, field: [field] })),
    service: [{ name: "FakeService", method: methods.map(methodOf) }],
  });
  const service = createFileRegistry(file, () => undefined).getService(`${PACKAGE}.FakeService`);
  if (!service) throw new Error("the fake service is not in its own file");
  return service;
}

function methodOf({ access: rule, ...method }: FakeRpc) {
  const options = create(MethodOptionsSchema);
  if (rule !== undefined) setExtension(options, access, rule);
  return { ...method, inputType: `.${PACKAGE}.FakeRequest`, outputType: `.${PACKAGE}.FakeResponse`, options };
}
