import {
  create,
  type DescField,
  fromJsonString,
  type JsonValue,
  type Message,
  mergeFromJson,
  ScalarType,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionNegotiate } from "@connectrpc/connect/protocol";
import { checkDepth, malformed, readBody } from "../../packages/service/body.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { ACCEPT_COMPRESSION } from "../../packages/service/http.ts";
import type { Match } from "./routes.ts";

export const BODY_BYTES_MAX = 1_048_576;
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json *(?:;|$)/i;

/** A refusal that HTTP has its own status for. No subclass: ConnectError takes every ConnectError for an instance of it. */
function httpRefusal(status: number, code: Code, message: string): ConnectError {
  return Object.assign(new ConnectError(message, code), { status });
}

/** The status an error asks for, when it does. */
export function statusOf(error: unknown): { status?: number } {
  const named = error instanceof ConnectError && "status" in error && typeof error.status === "number";
  return named ? { status: error.status as number } : {}; // Just checked.
}

/** The request message: the body or the query, then the path, then Idempotency-Key where request_id is left out. */
export async function readRequest({ route, values }: Match, req: Request): Promise<Message> {
  const { input } = route.rpc.method;
  const message = route.body ? fromBody(input, await readText(req)) : create(input);
  if (!route.body) setFromQuery(message, input.fields, req.url);
  for (const [field, value] of values) set(message, field, [value]);
  setRequestId(message, input.fields, req.headers.get("idempotency-key"));
  return message;
}

type Input = Match["route"]["rpc"]["method"]["input"];

function fromBody(input: Input, text: string): Message {
  try {
    return fromJsonString(input, text || "{}", { ignoreUnknownFields: true });
  } catch (error) {
    throw malformed(error);
  }
}

async function readText(req: Request): Promise<string> {
  const bytes = await decompressed(req, await limited(req));
  const type = req.headers.get("content-type");
  if (bytes.byteLength > 0 && !JSON_TYPE.test(type ?? "")) {
    throw httpRefusal(
      415,
      Code.InvalidArgument,
      `the body must be application/json, found ${type ?? "no content type"}`,
    );
  }
  checkDepth(bytes);
  return new TextDecoder().decode(bytes);
}

async function limited(req: Request): Promise<Uint8Array<ArrayBuffer>> {
  return tooLargeIs413(() => readBody(req, BODY_BYTES_MAX));
}

async function decompressed(req: Request, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const { request, error } = compressionNegotiate(
    ACCEPT_COMPRESSION,
    req.headers.get("content-encoding"),
    null,
    "accept-encoding",
  );
  if (error) throw httpRefusal(415, Code.InvalidArgument, error.rawMessage);
  return request ? tooLargeIs413(() => request.decompress(bytes, BODY_BYTES_MAX)) : bytes;
}

async function tooLargeIs413<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.ResourceExhausted)
      throw httpRefusal(413, error.code, error.rawMessage);
    throw error;
  }
}

function setFromQuery(message: Message, fields: DescField[], url: string): void {
  const start = url.indexOf("?");
  const query = new URLSearchParams(start < 0 ? "" : url.slice(start));
  for (const name of new Set(query.keys())) {
    const field = fields.find((each) => each.name === name || each.jsonName === name);
    if (!field)
      throw invalidField(
        name,
        `is no parameter here; there are ${fields.map((each) => each.name).join(", ") || "none"}`,
      );
    set(message, field, query.getAll(name));
  }
}

/** Sets a field from text, by the rules of protobuf's JSON: enums by name, numbers and times as strings. */
function set(message: Message, field: DescField, texts: string[]): void {
  const list = field.fieldKind === "list";
  if (!list && texts.length > 1) throw invalidField(field.name, "is given more than once");
  try {
    const values = texts.map((text) => jsonOf(field, text));
    reflect(field.parent, message).clear(field);
    mergeFromJson(field.parent, message, { [field.jsonName]: list ? values : (values[0] ?? null) });
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    throw invalidField(field.name, `cannot be ${JSON.stringify(texts.join(",").slice(0, 100))}`);
  }
}

function jsonOf(field: DescField, text: string): JsonValue {
  if (field.enum) return /^\d+$/.test(text) ? Number(text) : text;
  if (field.scalar === ScalarType.BOOL) {
    if (text !== "true" && text !== "false") throw invalidField(field.name, `must be true or false, found ${text}`);
    return text === "true";
  }
  // Times, durations and the like are strings in JSON; other messages have no form in a query.
  if (field.message && !field.message.typeName.startsWith("google.protobuf."))
    throw invalidField(field.name, "cannot be given in a query");
  return text;
}

/** The header may be quoted, as its draft wants, or bare, as most clients send it. */
function setRequestId(message: Message, fields: DescField[], header: string | null): void {
  const field = fields.find((each) => each.name === "request_id" && each.fieldKind === "scalar");
  if (!field || header === null || reflect(field.parent, message).get(field) !== "") return;
  set(message, field, [header.replace(/^"(.*)"$/, "$1")]);
}
