// The service that the conformance suite calls: it answers what the request tells it to answer, and repeats what it saw.
import { create, createRegistry, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { CallContext } from "../../packages/service/caller.ts";
import type { Answers } from "../../packages/service/service.ts";
import { forAnyone } from "./edge.ts";
import { file_connectrpc_conformance_v1_config } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  ConformanceService,
  type Error as ErrorDefinition,
  file_connectrpc_conformance_v1_service,
  type Header,
  type IdempotentUnaryRequest,
  IdempotentUnaryRequestSchema,
  type ConformancePayload_RequestInfo as RequestInfo,
  ConformancePayload_RequestInfoSchema as RequestInfoSchema,
  type ServerStreamRequest,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type UnaryRequest,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

/** JSON requests carry google.protobuf.Any of these. */
export const registry = createRegistry(file_connectrpc_conformance_v1_config, file_connectrpc_conformance_v1_service);

/** The suite's service as one of ours, for anyone. `Unimplemented` is left out: the suite wants the edge's own answer. */
export const conformance: Answers = {
  service: forAnyone(ConformanceService, ["Unimplemented"]),
  handlers: {
    unary: (_, __, req: UnaryRequest, ___, call) =>
      answer(call, req.responseDefinition, [pack(UnaryRequestSchema, req)]),
    idempotentUnary: (_, __, req: IdempotentUnaryRequest, ___, call) =>
      answer(call, req.responseDefinition, [pack(IdempotentUnaryRequestSchema, req)]),
    clientStream: (_, __, reqs, ___, call) => clientStream(reqs, call),
    serverStream: (_, __, req: ServerStreamRequest, ___, call) =>
      stream(call, req.responseDefinition, [pack(ServerStreamRequestSchema, req)]),
    bidiStream: (_, __, reqs, ___, call) => bidiStream(reqs, call),
  },
};

async function clientStream(reqs: AsyncIterable<ClientStreamRequest>, call: CallContext) {
  const seen: Any[] = [];
  let definition: UnaryResponseDefinition | undefined;
  for await (const req of reqs) {
    if (seen.length === 0) definition = req.responseDefinition;
    seen.push(pack(ClientStreamRequestSchema, req));
  }
  return answer(call, definition, seen);
}

async function* bidiStream(reqs: AsyncIterable<BidiStreamRequest>, call: CallContext) {
  let seen: Any[] = [];
  let definition: StreamResponseDefinition | undefined;
  let first = true;
  let sent = 0;
  for await (const req of reqs) {
    if (first) definition = begin(call, req.responseDefinition);
    first = false;
    seen.push(pack(BidiStreamRequestSchema, req));
    if (!req.fullDuplex && sent === 0) continue;
    const data = definition?.responseData[sent];
    if (data === undefined) break;
    await delay(definition?.responseDelayMs);
    yield { payload: { data, requestInfo: sent === 0 ? requestInfo(call, seen) : { requests: seen } } };
    sent++;
    seen = [];
    // The client may wait for our end before it ends its own side.
    if (sent === definition?.responseData.length && definition.error === undefined) break;
  }
  yield* send(call, definition, seen, sent);
}

async function answer(call: CallContext, definition: UnaryResponseDefinition | undefined, requests: Any[]) {
  const info = requestInfo(call, requests);
  append(call.answer?.headers, definition?.responseHeaders);
  append(call.answer?.trailers, definition?.responseTrailers);
  await delay(definition?.responseDelayMs);
  const response = definition?.response;
  if (response?.case === "error") throw refusal(response.value, info);
  return { payload: { requestInfo: info, ...(response?.case === "responseData" && { data: response.value }) } };
}

async function* stream(call: CallContext, definition: StreamResponseDefinition | undefined, requests: Any[]) {
  yield* send(call, begin(call, definition), requests, 0);
}

function begin(call: CallContext, definition: StreamResponseDefinition | undefined) {
  append(call.answer?.headers, definition?.responseHeaders);
  append(call.answer?.trailers, definition?.responseTrailers);
  return definition;
}

async function* send(call: CallContext, definition: StreamResponseDefinition | undefined, seen: Any[], from: number) {
  for (const [at, data] of (definition?.responseData ?? []).entries()) {
    if (at < from) continue;
    await delay(definition?.responseDelayMs);
    yield { payload: at === 0 ? { data, requestInfo: requestInfo(call, seen) } : { data } };
  }
  const nothingSent = from === 0 && definition?.responseData.length === 0;
  if (definition?.error) throw refusal(definition.error, nothingSent ? requestInfo(call, seen) : undefined);
}

function requestInfo({ headers }: CallContext, requests: Any[]): RequestInfo {
  const { timeoutMs } = headers.has("grpc-timeout")
    ? parseGrpcTimeout(headers.get("grpc-timeout"), Number.MAX_SAFE_INTEGER)
    : parseConnectTimeout(headers.get("connect-timeout-ms"), Number.MAX_SAFE_INTEGER);
  return create(RequestInfoSchema, {
    requestHeaders: Array.from(headers, ([name, value]) => ({ name, value: [value] })),
    requests,
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.round(timeoutMs)) }),
  });
}

function refusal(definition: ErrorDefinition, info: RequestInfo | undefined): ConnectError {
  const error = new ConnectError(definition.message ?? "", definition.code as number);
  const details = info ? [...definition.details, pack(RequestInfoSchema, info)] : definition.details;
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  return error;
}

function append(headers: Headers | undefined, added: Header[] = []): void {
  for (const { name, value } of added) for (const one of value) headers?.append(name, one);
}

function pack<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc> & Message): Any {
  return anyPack(schema, message);
}

function delay(ms = 0): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
