// The service that the conformance suite calls: it answers what the request tells it to answer, and repeats what it saw.
import { create, createRegistry, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
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
  IdempotentUnaryRequestSchema,
  type ConformancePayload_RequestInfo as RequestInfo,
  ConformancePayload_RequestInfoSchema as RequestInfoSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

/** JSON requests carry google.protobuf.Any of these. */
export const registry = createRegistry(file_connectrpc_conformance_v1_config, file_connectrpc_conformance_v1_service);

export function conformanceRoutes(router: ConnectRouter): void {
  router.service(ConformanceService, {
    unary: (req, ctx) => answer(ctx, req.responseDefinition, [pack(UnaryRequestSchema, req)]),
    idempotentUnary: (req, ctx) => answer(ctx, req.responseDefinition, [pack(IdempotentUnaryRequestSchema, req)]),
    clientStream,
    serverStream: (req, ctx) => stream(ctx, req.responseDefinition, [pack(ServerStreamRequestSchema, req)]),
    bidiStream,
    // `unimplemented` is left out: the suite wants the framework's own answer.
  });
}

async function clientStream(reqs: AsyncIterable<ClientStreamRequest>, ctx: HandlerContext) {
  const seen: Any[] = [];
  let definition: UnaryResponseDefinition | undefined;
  for await (const req of reqs) {
    if (seen.length === 0) definition = req.responseDefinition;
    seen.push(pack(ClientStreamRequestSchema, req));
  }
  return answer(ctx, definition, seen);
}

async function* bidiStream(reqs: AsyncIterable<BidiStreamRequest>, ctx: HandlerContext) {
  let seen: Any[] = [];
  let definition: StreamResponseDefinition | undefined;
  let first = true;
  let sent = 0;
  for await (const req of reqs) {
    if (first) definition = begin(ctx, req.responseDefinition);
    first = false;
    seen.push(pack(BidiStreamRequestSchema, req));
    if (!req.fullDuplex && sent === 0) continue;
    const data = definition?.responseData[sent];
    if (data === undefined) break;
    await delay(definition?.responseDelayMs);
    yield { payload: { data, requestInfo: sent === 0 ? requestInfo(ctx, seen) : { requests: seen } } };
    sent++;
    seen = [];
    // The client may wait for our end before it ends its own side.
    if (sent === definition?.responseData.length && definition.error === undefined) break;
  }
  yield* send(ctx, definition, seen, sent);
}

async function answer(ctx: HandlerContext, definition: UnaryResponseDefinition | undefined, requests: Any[]) {
  const info = requestInfo(ctx, requests);
  append(ctx.responseHeader, definition?.responseHeaders);
  append(ctx.responseTrailer, definition?.responseTrailers);
  await delay(definition?.responseDelayMs);
  const response = definition?.response;
  if (response?.case === "error") throw refusal(response.value, info);
  return { payload: { requestInfo: info, ...(response?.case === "responseData" && { data: response.value }) } };
}

async function* stream(ctx: HandlerContext, definition: StreamResponseDefinition | undefined, requests: Any[]) {
  yield* send(ctx, begin(ctx, definition), requests, 0);
}

function begin(ctx: HandlerContext, definition: StreamResponseDefinition | undefined) {
  append(ctx.responseHeader, definition?.responseHeaders);
  append(ctx.responseTrailer, definition?.responseTrailers);
  return definition;
}

async function* send(ctx: HandlerContext, definition: StreamResponseDefinition | undefined, seen: Any[], from: number) {
  for (const [at, data] of (definition?.responseData ?? []).entries()) {
    if (at < from) continue;
    await delay(definition?.responseDelayMs);
    yield { payload: at === 0 ? { data, requestInfo: requestInfo(ctx, seen) } : { data } };
  }
  const nothingSent = from === 0 && definition?.responseData.length === 0;
  if (definition?.error) throw refusal(definition.error, nothingSent ? requestInfo(ctx, seen) : undefined);
}

function requestInfo(ctx: HandlerContext, requests: Any[]): RequestInfo {
  const timeoutMs = ctx.timeoutMs();
  const query = ctx.requestMethod === "GET" ? new URL(ctx.url).searchParams : undefined;
  return create(RequestInfoSchema, {
    requestHeaders: Array.from(ctx.requestHeader, ([name, value]) => ({ name, value: [value] })),
    requests,
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.round(timeoutMs)) }),
    ...(query && { connectGetInfo: { queryParams: Array.from(query, ([name, value]) => ({ name, value: [value] })) } }),
  });
}

function refusal(definition: ErrorDefinition, info: RequestInfo | undefined): ConnectError {
  const error = new ConnectError(definition.message ?? "", definition.code as number);
  const details = info ? [...definition.details, pack(RequestInfoSchema, info)] : definition.details;
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  return error;
}

function append(headers: Headers, added: Header[] = []): void {
  for (const { name, value } of added) for (const one of value) headers.append(name, one);
}

function pack<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc> & Message): Any {
  return anyPack(schema, message);
}

function delay(ms = 0): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve();
}
