// The edge as strangers meet it: real sockets before a whole platform, and raw requests, so that a test sees every byte of an answer.
import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  getOption,
  hasOption,
  type JsonObject,
  type MessageShape,
} from "@bufbuild/protobuf";
import { http } from "../../packages/api/gen/google/api/annotations_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../packages/api/gen/google/rpc/error_details_pb.ts";
import type { Violation } from "../../packages/service/errors.ts";
import type { EdgeService } from "../../packages/service/wire/health.ts";
import { createLog } from "../../packages/telemetry/log.ts";
import { readConfig } from "../../services/gateway/config.ts";
import { createGateway, type GatewayOptions } from "../../services/gateway/gateway.ts";
import type { System } from "./system.ts";

export interface LiveEdge {
  url: string;
  grpcUrl: string;
  port: number;
  grpcPort: number;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  /** "ok", or the Connect code of the refusal; empty when the answer has neither. */
  code: string;
  /** Such as ORDER_NOT_FOUND. */
  reason: string;
  text: string;
  /** Parsed, where it is JSON; of a stream its first message. */
  body: unknown;
  headers: Headers;
}

/** Longer than the edge lets any unary call take: what has not answered by then hangs. */
const HANGS_AFTER_MS = 25_000;

export async function startLiveEdge(
  system: System,
  { extra = [], ...options }: Partial<GatewayOptions> & { extra?: EdgeService[] } = {},
): Promise<LiveEdge> {
  const { services, verifier, locks } = system.platform;
  const listening = await createGateway({
    services: [...services, ...extra],
    verifier,
    locks,
    log: createLog((line) => system.lines.push(line)),
    metrics: system.app(services[0]?.name ?? "order").metrics,
    clock: system.clock,
    ...options,
    config: {
      ...readConfig({ PORT: "0", GRPC_PORT: "0", OPS_PORT: "0", RATE_LIMITS: "off" }),
      ...options.config,
    },
  }).listen();
  return {
    url: `http://127.0.0.1:${listening.port}`,
    grpcUrl: `http://127.0.0.1:${listening.grpcPort}`,
    port: listening.port,
    grpcPort: listening.grpcPort,
    close: listening.close,
  };
}

export const bearer = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

/** Sends what it is given, and reads the answer; of a stream the first message, and then hangs up. */
export async function send(url: string, init: RequestInit): Promise<Answer> {
  const hangUp = new AbortController();
  const signal = AbortSignal.any([hangUp.signal, AbortSignal.timeout(HANGS_AFTER_MS)]);
  const res = await fetch(url, { ...init, signal });
  const type = res.headers.get("content-type") ?? "";
  const streaming = type.startsWith("application/connect+") || type === "application/x-ndjson";
  const bytes = streaming ? await firstOf(res, type) : await res.bytes();
  if (streaming) hangUp.abort();
  return answerOf(res, new TextDecoder().decode(bytes), type);
}

/** One call of the Connect protocol, JSON; streams are in their envelope. */
export function callConnect(edge: LiveEdge, method: DescMethod, body: string | Uint8Array, headers = {}) {
  const streaming = method.methodKind !== "unary";
  const type = streaming ? "application/connect+json" : "application/json";
  return send(`${edge.url}/${method.parent.typeName}/${method.name}`, {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body: streaming ? enveloped(body) : body,
  });
}

export function callBinary(edge: LiveEdge, method: DescMethod, body: Uint8Array, headers = {}) {
  return send(`${edge.url}/${method.parent.typeName}/${method.name}`, {
    method: "POST",
    headers: { "content-type": "application/proto", ...headers },
    body,
  });
}

/** The same request by REST, as the method's annotation says; undefined where no binding has a place for it. */
export function restOf(method: DescMethod, request: JsonObject): { path: string; init: RequestInit } | undefined {
  if (!hasOption(method, http)) return undefined;
  const rule = getOption(method, http);
  for (const { pattern, body } of [rule, ...rule.additionalBindings]) {
    const left = new Map(Object.entries(request));
    const named = (name: string) => method.input.fields.find((field) => field.name === name)?.jsonName ?? name;
    const template = String(pattern.value);
    const inPath = Array.from(template.matchAll(/\{(\w+)\}/g), ([, name]) => named(name ?? ""));
    if (inPath.some((name) => !left.has(name))) continue;
    const path = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(textOf(request[named(name)])));
    for (const name of inPath) left.delete(name);
    const verb = String(pattern.case).toUpperCase();
    if (body === "*") {
      const sent = JSON.stringify(Object.fromEntries(left));
      return { path, init: { method: verb, headers: { "content-type": "application/json" }, body: sent } };
    }
    const query = new URLSearchParams();
    for (const [name, value] of left) for (const each of [value].flat()) query.append(name, textOf(each));
    return { path: query.size > 0 ? `${path}?${query}` : path, init: { method: verb } };
  }
  return undefined;
}

export async function callRest(edge: LiveEdge, method: DescMethod, request: JsonObject, headers = {}) {
  const rest = restOf(method, request);
  if (!rest) throw new Error(`${method.name} has no REST binding for ${JSON.stringify(request)}`);
  return send(`${edge.url}${rest.path}`, { ...rest.init, headers: { ...rest.init.headers, ...headers } });
}

/** A value as a URL holds it: half a surrogate pair has no place there. */
const textOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value ?? null)).toWellFormed();

const HEAD_BYTES = 5;

function enveloped(body: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(bytes.byteLength, 1);
  return new Uint8Array(Buffer.concat([head, bytes]));
}

/** The first message of a stream as JSON; of Connect's last frame what it holds. */
async function firstOf(res: Response, type: string): Promise<Uint8Array> {
  const lines = type === "application/x-ndjson";
  let got = Buffer.alloc(0);
  for await (const chunk of res.body ?? []) {
    got = Buffer.concat([got, chunk]);
    const end = lines ? got.indexOf("\n") : frameEnd(got);
    if (end > 0 && got.byteLength >= end) return got.subarray(lines ? 0 : HEAD_BYTES, end);
  }
  return got;
}

const frameEnd = (got: Buffer) => (got.byteLength < HEAD_BYTES ? Infinity : HEAD_BYTES + got.readUInt32BE(1));

function answerOf({ status, headers }: Response, text: string, type: string): Answer {
  const body = /json/.test(type) ? parsed(text) : undefined;
  // A stream's refusal is in its last frame, or on its last line.
  const problem = member(body, "error") ?? body;
  const code = member(problem, "code");
  const refused = typeof code === "string" && (status !== 200 || problem !== body);
  return {
    status,
    code: refused ? code : status === 200 ? "ok" : "",
    reason: refused ? reasonIn(problem) : "",
    text,
    body,
    headers,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // What is no JSON has no code, and that is judged.
  }
}

/** REST names the reason; Connect has it in the detail google.rpc.ErrorInfo. */
function reasonIn(problem: unknown): string {
  const reason = member(problem, "reason");
  return typeof reason === "string" ? reason : (detail(problem, ErrorInfoSchema)?.reason ?? "");
}

/** What an INVALID_ARGUMENT says about fields, over Connect and over REST. */
export function violationsOf({ body }: Answer): Violation[] {
  const named = member(body, "violations");
  // Both are the wire's own words; the tests compare them whole.
  if (Array.isArray(named)) return named as Violation[];
  const bad = detail(body, BadRequestSchema)?.fieldViolations ?? [];
  return bad.map(({ field, description }) => ({ field, description }));
}

function detail<M extends DescMessage>(problem: unknown, schema: M): MessageShape<M> | undefined {
  const details = member(problem, "details");
  const found = Array.isArray(details) ? details.find((each) => member(each, "type") === schema.typeName) : undefined;
  return found && fromBinary(schema, Buffer.from(String(member(found, "value") ?? ""), "base64"));
}

export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
