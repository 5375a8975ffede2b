import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { sleep } from "./clock.ts";
import { ACCEPT_COMPRESSION, pathOf, type ServeOptions } from "./http.ts";

export interface GrpcOptions extends Omit<ServeOptions, "onStream" | "log"> {
  hostname: string;
  /** 0 takes a free one. */
  port: number;
  /** Sees each request's headers, by lower-case name, before anyone else; may change them. */
  prepare?: (headers: Record<string, string | string[] | undefined>, address: string) => void;
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
    ...(jsonOptions && { jsonOptions }),
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(req: Http2ServerRequest, res: Http2ServerResponse): Promise<void> {
    options.prepare?.(req.headers, req.socket.remoteAddress ?? "");
    const handler = handlers.get(pathOf(req.url));
    if (!handler || !req.authority) {
      res.writeHead(handler ? 400 : 404);
      res.end();
      return;
    }
    await universalResponseToNodeResponse(
      await handler(universalRequestFromNodeRequest(req, res, undefined, undefined)),
      res,
    );
  }

  const sessions = new Set<ServerHttp2Session>();
  const server = createServer((req, res) => {
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
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  // Broken frames are a client's doing: its connection ends, and a stranger cannot fill the log.
  server.on("sessionError", (_, session) => session.destroy());

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
