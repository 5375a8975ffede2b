import { type ClientHttp2Session, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../packages/api/gen/grpc/reflection/v1/reflection_pb.ts";
import { table } from "./figures.ts";
import type { Stack } from "./stack.ts";

const PATH = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** More than one stream takes. */
const QUESTIONS = 120;
/** So that nobody who is flooded waits for us. */
const WINDOW_BYTES = 2 ** 26;
/** Of one network, its first rush shared out over the time. A single stream once told 212 MB to who sent 0.2 MB. */
export const DRAWN_PER_SECOND_MAX = 8e6;

/**
 * What a stranger gets out of reflection by asking as much as it is let: stream after stream, in each as many times as it takes for the longest file there is.
 * Bytes are those of the messages, as they came.
 */
export async function reflectionOf({ grpcPort }: Pick<Stack, "grpcPort">, ms: number) {
  const session = connect(`http://127.0.0.1:${grpcPort}`, { settings: { initialWindowSize: WINDOW_BYTES } });
  session.once("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
  try {
    const whole = await ask(session, [
      create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } }),
    ]);
    const [list] = whole.answers;
    const names = list?.messageResponse.case === "listServicesResponse" ? list.messageResponse.value.service : [];
    const schemas = await Promise.all(
      names.map(({ name }) => ask(session, [symbol(name)]).then((got) => ({ name, ...got }))),
    );
    const [longest] = schemas.toSorted((a, b) => ownBytes(b.answers) - ownBytes(a.answers));
    if (!longest) throw new Error("expected reflection to name services, found none");
    const questions = Array.from({ length: QUESTIONS }, () => symbol(longest.name));
    const counts = { streams: 0, refused: 0, sent: 0, drawn: 0 };
    const over = performance.now() + ms;
    const worker = async () => {
      while (performance.now() < over) {
        const { sent, drawn, answers } = await ask(session, questions);
        counts.streams += 1;
        counts.sent += sent;
        counts.drawn += drawn;
        if (answers.length === 0) counts.refused += 1;
      }
    };
    const started = performance.now();
    await Promise.all(Array.from({ length: 20 }, worker));
    const seconds = (performance.now() - started) / 1_000;
    const perSecond = counts.drawn / seconds;
    const row = [longest.name, counts.streams, counts.refused, mb(counts.sent), mb(counts.drawn), mb(perSecond)].map(
      String,
    );
    const heads = ["", "streams", "refused", "MB in", "MB out", "MB out/s"];
    const text = `Reflection, asked by one network as often as it is let for ${seconds.toFixed(1)} s\n${table(heads, [row])}`;
    return { ...counts, seconds, perSecond, text };
  } finally {
    session.destroy();
  }
}

const mb = (bytes: number) => (bytes / 1e6).toFixed(2);

const symbol = (value: string) =>
  create(ServerReflectionRequestSchema, { messageRequest: { case: "fileContainingSymbol", value } });

function ownBytes([answer]: ServerReflectionResponse[]): number {
  const { messageResponse } = answer ?? {};
  return messageResponse?.case === "fileDescriptorResponse"
    ? (messageResponse.value.fileDescriptorProto[0]?.byteLength ?? 0)
    : 0;
}

const HEAD_BYTES = 5;

/** One stream, as a gRPC client sends it; resolves with what came before it ended, well or not. */
async function ask(
  session: ClientHttp2Session,
  requests: Parameters<typeof toBinary<typeof ServerReflectionRequestSchema>>[1][],
) {
  const body = Buffer.concat(requests.map((request) => framed(toBinary(ServerReflectionRequestSchema, request))));
  const stream = session.request({
    ":method": "POST",
    ":path": PATH,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const ended = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => void chunks.push(chunk));
  stream.on("close", ended.resolve);
  stream.on("error", ended.resolve);
  stream.end(body);
  await ended.promise;
  const came = Buffer.concat(chunks);
  return { sent: body.byteLength, drawn: came.byteLength, answers: messagesOf(came) };
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

function messagesOf(bytes: Buffer): ServerReflectionResponse[] {
  const found: ServerReflectionResponse[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.byteLength; ) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at + 1);
    if (end > bytes.byteLength) break;
    found.push(fromBinary(ServerReflectionResponseSchema, bytes.subarray(at + HEAD_BYTES, end)));
    at = end;
  }
  return found;
}
