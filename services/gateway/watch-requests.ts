import { type Context, traceparent } from "../../packages/telemetry/context.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";
import { stopwatch } from "../../packages/telemetry/stopwatch.ts";
import { openSpan } from "../../packages/telemetry/trace.ts";
import type { RouteTable } from "./routes.ts";

export interface Asked {
  method: string;
  path: string;
  contentType: string;
  context: Context;
}

/** A request at the edge, from its arrival to its answer. */
export interface Watched {
  /** In which it is answered; `traceparent` carries it on. */
  context: Context;
  traceparent: string;
  answered(status: number): void;
}

/** One span and one measurement for each request from outside; named by its route, which is one of few, and never by its path. */
export function createWatch(routes: RouteTable, rpcPaths: ReadonlySet<string>, metrics: Pick<Metrics, "edge">) {
  function routeOf({ method, path }: Asked): string | undefined {
    if (rpcPaths.has(path)) return path;
    const found = routes.find(method, path);
    return found && "route" in found ? found.route.template : undefined;
  }

  return (asked: Asked, protocol = protocolOf(asked)): Watched => {
    const seconds = stopwatch();
    const { method, context } = asked;
    const opened = openSpan("gateway", () => [method, routeOf(asked) ?? ""].join(" ").trim(), {
      kind: "server",
      parent: context,
      attributes: () => ({ "http.request.method": method, "url.path": asked.path, "bodega.protocol": protocol }),
    });
    const inside = opened?.context ?? context;
    return {
      context: inside,
      traceparent: traceparent(inside),
      answered(status) {
        metrics.edge(protocol, status, seconds());
        if (!opened) return;
        const route = routeOf(asked);
        opened.set({ "http.response.status_code": status, ...(route && { "http.route": route }) });
        opened.end(status >= 500 ? new Error(`answered with ${status}`) : undefined);
      },
    };
  };
}

export type Watch = ReturnType<typeof createWatch>;

function protocolOf({ path, contentType }: Asked): string {
  if (contentType.startsWith("application/grpc-web")) return "grpc-web";
  if (path.startsWith("/v1/")) return "rest";
  return path.startsWith("/bodega.") ? "connect" : "page";
}
