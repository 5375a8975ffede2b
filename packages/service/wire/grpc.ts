import { constants, createServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { contextIn } from "../../telemetry/context.ts";
import { sleep } from "../../time/wait.ts";
import { networkOf } from "../address.ts";
import { JSON_DECODER } from "./body.ts";
import { ACCEPT_COMPRESSION, pathOf, type ServeOptions } from "./http.ts";
import { nothingAt, refusalResponse } from "./refusal.ts";
import { boundRequest, boundSessions, SESSION_BOUNDS, type SessionBounds } from "./sessions.ts";

/** As of Bun's server. */
const HEADER_BYTES_MAX = 16_384;

export interface GrpcOptions extends Omit<ServeOptions, "onStream" | "log"> {
  hostname: string;
  /** 0 takes a free one. */
  port: number;
  /** Sees each request's headers, by lower-case name, before anyone else; may change them. What it returns is told the status of the answer. */
  prepare?: (headers: Record<string, string | string[] | undefined>, address: string) => (status: number) => void;
  bounds?: Partial<SessionBounds>;
  /** By which connections are counted; undefined for one that is not, such as a proxy's. */
  networkOf?: (address: string) => string | undefined;
  /** Told of errors that reached no client. */
  failed: (error: unknown) => void;
}

export interface GrpcListener {
  port: number;
  /** Takes no new calls, lets running ones end for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** Native gRPC needs HTTP trailers, which Bun.serve cannot send: a node:http2 listener without TLS. It also speaks Connect and gRPC-Web. */
export async function listenGrpc(routes: (router: ConnectRouter) => void, options: GrpcOptions): Promise<GrpcListener> {
  const { readMaxBytes, gate, shutdown, jsonOptions, failed } = options;
  const router = createConnectRouter({
    readMaxBytes,
    acceptCompression: ACCEPT_COMPRESSION,
    ...(gate && { requestGate: gate }),
    ...(shutdown && { shutdownSignal: shutdown }),
    jsonOptions: { ...jsonOptions, ...JSON_DECODER },
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(req: Http2ServerRequest, res: Http2ServerResponse): Promise<void> {
    const answered = options.prepare?.(req.headers, req.socket.remoteAddress ?? "");
    if (answered) res.once("close", () => answered(res.statusCode));
    if (!req.authority) {
      res.writeHead(400);
      res.end();
      return;
    }
    const asked = universalRequestFromNodeRequest(req, res, undefined, undefined);
    const handler = handlers.get(pathOf(req.url));
    await universalResponseToNodeResponse(handler ? await handler(asked) : await nothing(asked), res);
  }

  async function nothing({ method, url, header }: UniversalServerRequest): Promise<UniversalServerResponse> {
    const asked = { method, url, headers: header };
    const refusal = refusalResponse(asked, nothingAt(asked), contextIn(header));
    const trailer = new Headers();
    for (const [name, value] of [...refusal.headers]) if (name.startsWith("grpc-")) trailer.set(name, value);
    for (const name of trailer.keys()) refusal.headers.delete(name);
    const body = createAsyncIterable([await refusal.bytes()]);
    return { status: refusal.status, header: refusal.headers, body, trailer };
  }

  const bounds = { ...SESSION_BOUNDS, ...options.bounds };
  const settings = { maxConcurrentStreams: bounds.streamsMax, maxHeaderListSize: HEADER_BYTES_MAX };
  const server = createServer({ settings }, (req, res) => {
    boundRequest(req, bounds.requestMs);
    // An answer before the end of the request leaves bytes unread that hold the window of the whole connection: later calls would wait for
    // ever. Closing the stream gives it back, as RFC 9113 8.1 says.
    res.stream.once("finish", () => {
      if (!req.complete) res.stream.close(constants.NGHTTP2_NO_ERROR);
    });
    answer(req, res).catch((error: unknown) => {
      if (!res.stream.destroyed) res.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      if (!res.stream.aborted) failed(error);
    });
  });
  const sessions = boundSessions(server, bounds, options.networkOf ?? networkOf);

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.hostname, () => {
      server.off("error", reject);
      server.on("error", failed);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port, // Only a pipe would have a string.
    async close(graceMs) {
      const over = new AbortController();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      await Promise.race([closed, sleep(graceMs, over.signal)]);
      over.abort();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}
