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
import { invalidField } from "../../../packages/service/errors.ts";
import { jsonText, malformed, readBody, readQuery } from "../../../packages/service/wire/body.ts";
import { ACCEPT_COMPRESSION } from "../../../packages/service/wire/http.ts";
import { withStatus } from "../../../packages/service/wire/problem.ts";
import type { Match } from "../routes.ts";

export const BODY_BYTES_MAX = 1_048_576;
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json *(?:;|$)/i;

/** The request message: the body or the query, then the path, then Idempotency-Key where request_id is left out. */
export async function readRequest({ route, values }: Match, req: Request): Promise<Message> {
  const { input } = route.rpc.method;
  const message = route.body ? fromBody(input, await readText(req)) : create(input);
  if (!route.body) setFromQuery(message, input.fields, req.url, values);
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
    throw unsupported(`the body must be application/json, found ${type ?? "no content type"}`);
  }
  return jsonText(bytes);
}

function unsupported(message: string): ConnectError {
  return withStatus(415, new ConnectError(message, Code.InvalidArgument));
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
  if (error) throw unsupported(error.rawMessage);
  return request ? tooLargeIs413(() => request.decompress(bytes, BODY_BYTES_MAX)) : bytes;
}

async function tooLargeIs413<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof ConnectError && error.code === Code.ResourceExhausted ? withStatus(413, error) : error;
  }
}

function setFromQuery(message: Message, fields: DescField[], url: string, inPath: Match["values"]): void {
  const query = readQuery(url);
  const given = new Map(inPath.map(([field]) => [field, "in the path"]));
  for (const name of new Set(query.keys())) {
    const field = fields.find((each) => each.name === name || each.jsonName === name);
    if (!field)
      throw invalidField(
        name,
        `is no parameter here; there are ${fields.map((each) => each.name).join(", ") || "none"}`,
      );
    const before = given.get(field);
    if (before) throw invalidField(field.name, `is given twice, ${before} and as ${name}`);
    given.set(field, `as ${name}`);
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

/** The header may be quoted, as its draft wants, or bare, as most clients send it. Beside another request_id it is refused: which of them would be the key? */
function setRequestId(message: Message, fields: DescField[], header: string | null): void {
  const field = fields.find((each) => each.name === "request_id" && each.fieldKind === "scalar");
  if (!field || header === null) return;
  const key = header.replace(/^"(.*)"$/, "$1");
  const given: unknown = reflect(field.parent, message).get(field);
  if (given !== "" && given !== key)
    throw invalidField("request_id", "is another one than the header Idempotency-Key: send one of them");
  if (given === "") set(message, field, [key]);
}
