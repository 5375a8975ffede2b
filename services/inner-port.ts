import { Code } from "@connectrpc/connect";
import { refused } from "../packages/service/errors.ts";
import type { InnerTls } from "../packages/service/tls.ts";
import { type EdgeOrigin, ORIGIN_HEADER } from "../packages/service/wire/edge-origin.ts";
import { createOpsPages, createReadyAnswer, type EdgeService } from "../packages/service/wire/health.ts";
import { pathOf, serveRpcs } from "../packages/service/wire/http.ts";
import { type Listener, listenHttp, type Server } from "../packages/service/wire/listen.ts";
import { ADDRESS_HEADER, NETWORK_HEADER } from "../packages/service/wire/rpc.ts";
import type { Parts } from "../packages/telemetry/inspection.ts";
import type { Log } from "../packages/telemetry/log.ts";
import type { Metrics } from "../packages/telemetry/metrics.ts";
import { systemClock } from "../packages/time/clock.ts";
import type { FollowedTime } from "../packages/time/followed.ts";
import { BODY_BYTES_MAX } from "./gateway/rest/rest-request.ts";

export interface InsideOptions {
  services: EdgeService[];
  host: string;
  port: number;
  opsPort: number;
  opsHost: string;
  log: Log;
  metrics: Metrics;
  /** What the edge has signed of a client. */
  readOrigin: (seal: string | null) => EdgeOrigin | undefined;
  /** Undefined: in the clear. */
  tls?: InnerTls | undefined;
  time?: Pick<FollowedTime, "skewMs" | "nowMs">;
  parts?: Parts;
}

export interface Inside {
  port: number;
  opsPort: number;
  close(): Promise<void>;
}

/**
 * What a process without the edge listens to: each service's RPCs and pages below its name, such as /order/bodega.order.v1.OrderService/PlaceOrder.
 * There are no limits here: only the platform's own processes are meant to reach it. Every service checks its callers' tokens all the same, and of where
 * a client is only what the edge has signed is believed.
 */
export function listenInside(options: InsideOptions): Inside {
  const { services, host, port, opsPort, opsHost, log, metrics, readOrigin, tls, time } = options;
  const shutdown = new AbortController();
  const ready = createReadyAnswer(services, () => shutdown.signal.aborted, systemClock());
  const servers = new WeakMap<Request, Server>();
  const serving = {
    readMaxBytes: BODY_BYTES_MAX,
    shutdown: shutdown.signal,
    onStream: (req: Request) => servers.get(req)?.timeout(req, 0),
    log,
  };
  const mounts = new Map(services.map(({ name, rpcs, pages }) => [name, { answer: serveRpcs(rpcs, serving), pages }]));

  async function fetch(req: Request, server: Server): Promise<Response> {
    servers.set(req, server);
    believeOnlyTheEdge(req.headers, readOrigin(req.headers.get(ORIGIN_HEADER)));
    const path = pathOf(req.url);
    if (path === "/readyz") return await ready();
    // For the edge, which has no database to ask.
    if (path === "/time" && time) return new Response(String(time.nowMs()));
    const [, name = "", rest = ""] = /^\/([a-z]+)(\/.*)$/.exec(path) ?? [];
    const mount = mounts.get(name);
    const answer = mount?.answer(req, rest) ?? mount?.pages?.fetch(new Request(urlAt(rest, req.url), req));
    return (await answer) ?? new Response(`there is nothing at ${path}\n`, { status: 404 });
  }

  const inside = listenHttp(host, port, "PORT", fetch, tls);
  let ops: Listener;
  try {
    ops = listenHttp(opsHost, opsPort, "OPS_PORT", createOpsPages(services, metrics, log, options));
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

function believeOnlyTheEdge(headers: Headers, origin: EdgeOrigin | undefined) {
  headers.delete(ADDRESS_HEADER);
  headers.delete(NETWORK_HEADER);
  if (!origin) return;
  headers.set(ADDRESS_HEADER, origin.address);
  headers.set(NETWORK_HEADER, origin.network);
}

/** The same URL with another path. A request without Host has a URL that is only a path. */
function urlAt(path: string, url: string): string {
  const moved = new URL(url, "http://localhost");
  moved.pathname = path;
  return moved.href;
}
