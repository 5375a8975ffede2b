// One streamed call on every protocol, down to its bytes: when its head came, and what was in each message.
import { connect } from "node:http2";
import { type DescMethod, getOption, type JsonObject } from "@bufbuild/protobuf";
import { http } from "../../packages/api/gen/google/api/annotations_pb.ts";
import { createInbox, dial, type Inbox } from "../kit/raw.ts";

export interface RawStream {
  /** Resolves with the head of the answer as soon as it is here. */
  head(): Promise<string>;
  /** Waits until there are so many messages. */
  messages(count: number): Promise<JsonObject[]>;
  /** As when a line breaks: nobody says goodbye. */
  cut(): void;
}

export interface Call {
  ports: { port: number; grpcPort: number };
  method: DescMethod;
  request: JsonObject;
  headers: Record<string, string>;
}

export type Way = (call: Call) => Promise<RawStream>;

export const WAYS: Record<string, Way> = {
  Connect: (call) => overHttp1(call, "application/connect+json"),
  "gRPC-Web": (call) => overHttp1(call, "application/grpc-web+json"),
  REST: overRest,
  "Connect over h2c": (call) => overHttp2(call, call.ports.port, "application/connect+json"),
  gRPC: (call) => overHttp2(call, call.ports.grpcPort, "application/grpc+json"),
};

const HEAD_BYTES = 5;

function enveloped({ request }: Call): Buffer {
  const body = Buffer.from(JSON.stringify(request));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(body.byteLength, 1);
  return Buffer.concat([head, body]);
}

const pathOf = ({ method }: Call) => `/${method.parent.typeName}/${method.name}`;

async function overHttp1(call: Call, type: string): Promise<RawStream> {
  const body = enveloped(call);
  const raw = await dial(call.ports.port);
  const headers = { host: "edge", "content-type": type, "content-length": String(body.byteLength), ...call.headers };
  raw.write(Buffer.concat([Buffer.from(`POST ${pathOf(call)} HTTP/1.1\r\n${lines(headers)}\r\n`), body]));
  return reading(raw, framesOf, raw.close);
}

async function overRest(call: Call): Promise<RawStream> {
  const raw = await dial(call.ports.port);
  const left = new Map(Object.entries(call.request));
  const path = String(getOption(call.method, http).pattern.value).replace(/\{(\w+)\}/g, (_, name: string) => {
    const named = call.method.input.fields.find((field) => field.name === name)?.jsonName ?? name;
    const value = String(left.get(named));
    left.delete(named);
    return value;
  });
  const query = new URLSearchParams();
  for (const [name, value] of left) query.set(name, String(value));
  raw.write(`GET ${path}?${query} HTTP/1.1\r\n${lines({ host: "edge", ...call.headers })}\r\n`);
  return reading(raw, linesOf, raw.close);
}

const lines = (headers: Record<string, string>) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");

function reading(inbox: Inbox, parse: (body: string) => JsonObject[], cut: () => void): RawStream {
  const bodyOf = (text: string) => dechunked(text.slice(text.indexOf("\r\n\r\n") + 4));
  return {
    head: async () => (await inbox.until((text) => text.includes("\r\n\r\n"))).split("\r\n\r\n")[0] ?? "",
    messages: async (count) => parse(bodyOf(await inbox.until((text) => parse(bodyOf(text)).length >= count))),
    cut,
  };
}

/** What has come whole of a body in chunks. */
function dechunked(text: string): string {
  const size = /^([0-9a-f]+)\r\n/i.exec(text);
  const from = size?.[0].length ?? 0;
  const length = Number.parseInt(size?.[1] ?? "0", 16);
  if (length === 0 || text.length < from + length + 2) return "";
  return text.slice(from, from + length) + dechunked(text.slice(from + length + 2));
}

async function overHttp2(call: Call, port: number, type: string): Promise<RawStream> {
  const { push, end, ...inbox } = createInbox();
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", end);
  const headers = { ":method": "POST", ":path": pathOf(call), "content-type": type, te: "trailers", ...call.headers };
  const stream = session.request(headers);
  const head = new Promise<string>((resolve, reject) => {
    stream.once("response", (came) => resolve(JSON.stringify(came)));
    stream.once("error", reject);
  });
  stream.on("data", push);
  stream.on("end", end);
  stream.end(enveloped(call));
  return {
    head: () => head,
    messages: async (count) => framesOf(await inbox.until((text) => framesOf(text).length >= count)),
    cut: () => session.destroy(),
  };
}

/** Messages in their envelopes, as far as they have come whole; the protocol's last frame counts as one. */
function framesOf(text: string): JsonObject[] {
  const bytes = Buffer.from(text, "latin1");
  const found: JsonObject[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.byteLength; ) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at + 1);
    if (end > bytes.byteLength) break;
    const data = bytes.toString("utf8", at + HEAD_BYTES, end);
    found.push(data.startsWith("{") ? JSON.parse(data) : { trailer: data });
    at = end;
  }
  return found;
}

function linesOf(text: string): JsonObject[] {
  return Buffer.from(text, "latin1")
    .toString()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}
