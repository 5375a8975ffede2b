// The two listeners under test. This is the only place that says how routes reach a socket.
import { constants, createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import type { JsonReadOptions, JsonWriteOptions } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler, type UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";

export type MountOptions = {
  /** Native gRPC needs HTTP trailers, which Bun.serve cannot send: it has a listener of its own. */
  grpc: boolean;
  readMaxBytes: number;
  jsonOptions: Partial<JsonReadOptions & JsonWriteOptions>;
};

/** Serves the routes on a free loopback port, without TLS, and says which. */
export async function mount(routes: (router: ConnectRouter) => void, options: MountOptions): Promise<number> {
  return options.grpc ? listenGrpc(routes, options) : listenEdge(routes, options);
}

/** Connect and gRPC-Web, HTTP/1.1 and h2c on one port. */
function listenEdge(routes: (router: ConnectRouter) => void, { readMaxBytes, jsonOptions }: MountOptions): number {
  const acceptCompression = [compressionGzip, compressionBrotli];
  const router = createConnectRouter({ grpc: false, readMaxBytes, jsonOptions, acceptCompression });
  routes(router);
  const handlers = new Map(
    router.handlers.map((handler) => [
      handler.requestPath,
      handler.method.methodKind === "unary" ? buffered(handler) : createFetchHandler(handler),
    ]),
  );
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    http2: true,
    idleTimeout: 0,
    fetch: (req) => handlers.get(new URL(req.url).pathname)?.(req) ?? new Response(null, { status: 404 }),
  });
  return server.port ?? 0;
}

/** Unary calls fit in memory by definition; without streams in between they cost about half. */
function buffered(handler: UniversalHandler): (req: Request) => Promise<Response> {
  return async (req) => {
    const { method, url, headers: header, signal } = req;
    const body = (async function* () {
      yield await req.bytes();
    })();
    const res = await handler({ httpVersion: "", method, url, header, signal, body });
    const chunks: Uint8Array[] = [];
    for await (const chunk of res.body ?? []) chunks.push(chunk);
    const headers = res.header ?? new Headers();
    return new Response(res.body ? Buffer.concat(chunks) : null, { status: res.status, headers });
  };
}

async function listenGrpc(routes: (router: ConnectRouter) => void, options: MountOptions): Promise<number> {
  const { readMaxBytes, jsonOptions } = options;
  const handle = connectNodeAdapter({ routes, readMaxBytes, jsonOptions });
  const server: Http2Server = createServer((req, res) => {
    // An answer before the end of the request leaves the client's half open and the bytes it has sent unread. They hold
    // the window of the whole connection, so that every later call on it waits for ever: close it, as RFC 9113 8.1 says.
    res.stream.once("finish", () => {
      if (!req.complete) res.stream.close(constants.NGHTTP2_NO_ERROR);
    });
    handle(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A listening TCP server has an address with a port; only a pipe would have a string.
  return (server.address() as AddressInfo).port;
}
