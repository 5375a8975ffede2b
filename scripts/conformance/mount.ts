// The two listeners under test are the product's own, on free loopback ports.
import type { ConnectRouter } from "@connectrpc/connect";
import { listenGrpc } from "../../packages/service/grpc.ts";
import { type ServeOptions, serveRoutes } from "../../packages/service/http.ts";

export type MountOptions = Required<Pick<ServeOptions, "readMaxBytes" | "jsonOptions">> & {
  /** Native gRPC needs HTTP trailers, which Bun.serve cannot send: it has a listener of its own. */
  grpc: boolean;
};

/** Serves the routes on a free loopback port, without TLS, and says which. */
export async function mount(
  routes: (router: ConnectRouter) => void,
  { grpc, ...options }: MountOptions,
): Promise<number> {
  const hostname = "127.0.0.1";
  if (grpc) {
    const failed = (error: unknown) => process.stderr.write(`${String(error)}\n`);
    return (await listenGrpc(routes, { ...options, hostname, port: 0, failed })).port;
  }
  const answer = serveRoutes(routes, options);
  const fetch = (req: Request) => answer(req) ?? new Response(null, { status: 404 });
  return Bun.serve({ hostname, port: 0, http2: true, idleTimeout: 0, fetch }).port ?? 0;
}
