import { Code } from "@connectrpc/connect";
import { refused } from "../packages/service/errors.ts";
import { pathOf, serveRpcs } from "../packages/service/http.ts";
import { type Listener, listenHttp, type Server } from "../packages/service/listen.ts";
import type { Log } from "../packages/telemetry/log.ts";
import type { Metrics } from "../packages/telemetry/metrics.ts";
import { createOpsPages, type EdgeService, readyAnswer } from "./gateway/health.ts";
import { BODY_BYTES_MAX } from "./gateway/rest-request.ts";

export interface InsideOptions {
  services: EdgeService[];
  /** What a service answers beside its RPCs, by its name. */
  pages: Record<string, { fetch(req: Request): Response | Promise<Response> }>;
  host: string;
  port: number;
  opsPort: number;
  log: Log;
  metrics: Metrics;
}

export interface Inside {
  port: number;
  opsPort: number;
  close(): Promise<void>;
}

/**
 * What a process without the edge listens to: each service's RPCs and pages below its name, such as /order/bodega.order.v1.OrderService/PlaceOrder.
 * There are no limits here: only the platform's own processes are meant to reach it. Every service checks its callers' tokens all the same.
 */
export function listenInside({ services, pages, host, port, opsPort, log, metrics }: InsideOptions): Inside {
  const shutdown = new AbortController();
  const servers = new WeakMap<Request, Server>();
  const serving = {
    readMaxBytes: BODY_BYTES_MAX,
    shutdown: shutdown.signal,
    onStream: (req: Request) => servers.get(req)?.timeout(req, 0),
    log,
  };
  const mounts = new Map(services.map(({ name, rpcs }) => [name, serveRpcs(rpcs, serving)]));

  async function fetch(req: Request, server: Server): Promise<Response> {
    servers.set(req, server);
    const path = pathOf(req.url);
    if (path === "/readyz") return await readyAnswer(services, shutdown.signal.aborted);
    const [, name = "", rest = ""] = /^\/([a-z]+)(\/.*)$/.exec(path) ?? [];
    const answer = mounts.get(name)?.(req, rest) ?? pages[name]?.fetch(new Request(urlAt(rest, req.url), req));
    return (await answer) ?? new Response(`there is nothing at ${path}\n`, { status: 404 });
  }

  const inside = listenHttp(host, port, "PORT", fetch);
  let ops: Listener;
  try {
    ops = listenHttp(host, opsPort, "OPS_PORT", createOpsPages(services, metrics, log));
  } catch (error) {
    void inside.close();
    throw error;
  }
  return {
    port: inside.port,
    opsPort: ops.port,
    async close() {
      shutdown.abort(refused(Code.Unavailable, "SHUTTING_DOWN", "this process is going down: call again", 1_000));
      await Promise.all([inside.close(), ops.close()]);
    },
  };
}

/** The same URL with another path. A request without Host has a URL that is only a path. */
function urlAt(path: string, url: string): string {
  const moved = new URL(url, "http://localhost");
  moved.pathname = path;
  return moved.href;
}
