// Started by connectconformance, once per server configuration: one length-prefixed request on stdin, one answer on stdout.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createLog, jsonLine } from "../../packages/telemetry/log.ts";
import { openEdge } from "./edge.ts";
import { Protocol } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { conformance, registry } from "./service.ts";

const LENGTH_BYTES = 4;

const req = fromBinary(ServerCompatRequestSchema, await readMessage());
if (req.useTls) throw new Error("expected a configuration without TLS, found one with it");
const reading = {
  jsonOptions: { registry },
  ...(req.messageReceiveLimit && { readMaxBytes: req.messageReceiveLimit }),
};
const log = createLog((line) => line.level === "info" || process.stderr.write(jsonLine(line)));
const { port, grpcPort } = await openEdge(conformance, reading, log).listen();
const answer = { host: "127.0.0.1", port: req.protocol === Protocol.GRPC ? grpcPort : port };
writeMessage(toBinary(ServerCompatResponseSchema, create(ServerCompatResponseSchema, answer)));
process.on("SIGTERM", () => process.exit(0));

async function readMessage(): Promise<Uint8Array> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of Bun.stdin.stream()) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length >= LENGTH_BYTES && bytes.length >= LENGTH_BYTES + bytes.readUInt32BE(0)) {
      return bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + bytes.readUInt32BE(0));
    }
  }
  throw new Error(`expected a whole message on stdin, found ${bytes.length} bytes`);
}

function writeMessage(message: Uint8Array): void {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(message.length);
  process.stdout.write(Buffer.concat([length, message]));
}
