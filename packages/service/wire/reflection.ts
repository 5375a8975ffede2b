import {
  clone,
  createFileRegistry,
  createRegistry,
  type DescFile,
  type DescService,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../api/gen/google/rpc/error_details_pb.ts";
import {
  file_grpc_reflection_v1_reflection,
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../api/gen/grpc/reflection/v1/reflection_pb.ts";
import { sleep } from "../../time/wait.ts";
import { refused } from "../errors.ts";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** Tells generic clients such as buf curl and grpcurl what the server answers: https://grpc.io/docs/guides/reflection/ */
export function routeReflection(router: ConnectRouter, services: DescService[]): void {
  const alpha = alphaService();
  const all = [...services, ServerReflection, alpha];
  // Refusals carry details that no file imports.
  const roots = [...all.map(({ file }) => file), file_google_rpc_error_details];
  const known = [...new Map(roots.flatMap((file) => closure(file)).map((file) => [file.name, file])).values()];
  const registry = createRegistry(...known);
  const schemaBytes = known.reduce((sum, file) => sum + encoded(file).byteLength, 0);
  const implementation: Partial<ServiceImpl<typeof ServerReflection>> = {
    async *serverReflectionInfo(requests) {
      const told = new Set<string>();
      let left = schemaBytes * TIMES_TOLD_MAX;
      for await (const request of bounded(requests)) {
        const messageResponse = answer(request.messageRequest, { registry, known, services: all, told });
        left -= fileBytes(messageResponse);
        if (left < 0)
          throw refused(
            Code.ResourceExhausted,
            "RESOURCE_EXHAUSTED",
            `a stream of reflection is told the schema ${TIMES_TOLD_MAX} times`,
          );
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  };
  router.service(ServerReflection, implementation);
  router.service(alpha, implementation as Partial<ServiceImpl<DescService>>); // Its messages differ in their package's name only.
}

const REQUESTS_MAX = 100;
/** Asked for by another of its names, a file is told again; a tool that asks for each once comes out far below. */
const TIMES_TOLD_MAX = 2;
/** Longer than a tool needs to read a schema. */
const LIFE_MS = 60_000;

/** As many requests as a tool may need, for as long: an answer is a thousand times as long as its request. */
async function* bounded<T>(requests: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = requests[Symbol.asyncIterator]();
  const over = new AbortController();
  const late = sleep(LIFE_MS, over.signal).then(() => undefined);
  try {
    for (let count = 0; ; count++) {
      const next = await Promise.race([iterator.next(), late]);
      if (!next)
        throw refused(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", `a stream of reflection ends after ${LIFE_MS} ms`);
      if (next.done) return;
      if (count === REQUESTS_MAX)
        throw refused(
          Code.ResourceExhausted,
          "RESOURCE_EXHAUSTED",
          `a stream of reflection takes ${REQUESTS_MAX} requests`,
        );
      yield next.value;
    }
  } finally {
    over.abort();
  }
}

interface Schema {
  registry: Registry;
  known: DescFile[];
  services: DescService[];
  /** Names of files that this stream has been given. */
  told: Set<string>;
}

function answer(
  request: ServerReflectionRequest["messageRequest"],
  { registry, known, services, told }: Schema,
): Answer {
  switch (request.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: services.map(({ typeName }) => ({ name: typeName })) } };
    case "fileByFilename":
      return files(
        told,
        known.find(({ proto }) => proto.name === request.value),
        `there is no file ${request.value}`,
      );
    case "fileContainingSymbol":
      return files(told, fileOf(request.value, registry), `there is no symbol ${request.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = request.value;
      const extended = registry.getMessage(containingType);
      const extension = extended && registry.getExtensionFor(extended, extensionNumber);
      return files(told, extension?.file, `there is no extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const numbers = Array.from(registry).flatMap((desc) =>
        desc.kind === "extension" && desc.extendee.typeName === request.value ? [desc.number] : [],
      );
      return { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber: numbers } };
    }
    default:
      return refusal(Code.InvalidArgument, "the request asks for nothing");
  }
}

/** A file with everything it imports that has not been told yet, so that one answer suffices, and a stream gets the schema once. */
function files(told: Set<string>, file: DescFile | undefined, missing: string): Answer {
  if (!file) return refusal(Code.NotFound, missing);
  const news = closure(file).filter((each) => each === file || !told.has(each.name));
  for (const { name } of news) told.add(name);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: news.map(encoded) } };
}

function fileBytes(answer: Answer): number {
  if (answer.case !== "fileDescriptorResponse") return 0;
  return (answer.value.fileDescriptorProto ?? []).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

const encodings = new WeakMap<DescFile, Uint8Array>();

/** Each file is encoded once, and kept. */
function encoded(file: DescFile): Uint8Array {
  const known = encodings.get(file);
  if (known) return known;
  const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
  encodings.set(file, bytes);
  return bytes;
}

function refusal(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** Names of methods, fields and enum values lead to what they are part of. */
function fileOf(symbol: string, registry: Registry): DescFile | undefined {
  for (let name = symbol; name; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) {
    const found = registry.get(name);
    if (found) return found.file;
  }
  return undefined;
}

function closure(file: DescFile, seen = new Set<string>()): DescFile[] {
  if (seen.has(file.name)) return [];
  seen.add(file.name);
  return [file, ...file.dependencies.flatMap((each) => closure(each, seen))];
}

/** Older clients ask for v1alpha, the same under another package name. */
function alphaService(): DescService {
  const file = clone(FileDescriptorProtoSchema, file_grpc_reflection_v1_reflection.proto);
  const rename = (name: string) => name.replace(/^\.grpc\.reflection\.v1\./, ".grpc.reflection.v1alpha.");
  file.name = "grpc/reflection/v1alpha/reflection.proto";
  file.package = "grpc.reflection.v1alpha";
  for (const field of file.messageType.flatMap((message) => message.field)) field.typeName = rename(field.typeName);
  for (const method of file.service.flatMap((service) => service.method)) {
    method.inputType = rename(method.inputType);
    method.outputType = rename(method.outputType);
  }
  const service = createFileRegistry(file, () => undefined).getService("grpc.reflection.v1alpha.ServerReflection");
  if (!service) throw new Error(`the file ${file.name} must have a service ServerReflection`);
  return service;
}
