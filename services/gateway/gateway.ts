import { getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import type { Hono } from "hono";
import { Access, access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import type { Locks } from "../../packages/locks/locks.ts";
import { type Clock, systemClock } from "../../packages/service/clock.ts";
import { refused } from "../../packages/service/errors.ts";
import { pathOf, type ServeOptions, serveRoutes } from "../../packages/service/http.ts";
import type { Server } from "../../packages/service/listen.ts";
import { routeReflection } from "../../packages/service/reflection.ts";
import { type Rpc, route } from "../../packages/service/rpc.ts";
import type { Verifier } from "../../packages/service/tokens.ts";
import { type Context, withContext } from "../../packages/telemetry/context.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";
import { createBounds } from "./bounds.ts";
import type { GatewayConfig } from "./config.ts";
import { admit, createAddresses, createCors, secure } from "./headers.ts";
import type { EdgeService } from "./health.ts";
import { createEntry, createLimit } from "./limits.ts";
import { type Listening, listen } from "./listen.ts";
import { createOpenApi } from "./openapi.ts";
import { aggregateOps, isOps } from "./ops.ts";
import { createPages } from "./pages.ts";
import { asConnectError, problemResponse } from "./problem.ts";
import { createRest, methodNotAllowed } from "./rest.ts";
import { BODY_BYTES_MAX } from "./rest-request.ts";
import { createRoutes } from "./routes.ts";

export interface GatewayOptions {
  services: EdgeService[];
  verifier: Verifier;
  /** Counts calls, for limits. */
  locks: Locks;
  log: Log;
  metrics: Metrics;
  config: GatewayConfig;
  /** Pages of services, such as /pay and /webhooks. */
  pages?: Hono;
  /** The clock that tokens live by; the machine's unless a test drives one. */
  clock?: Clock;
  /** How Connect and gRPC read messages, where not as usual: of how many bytes, and which types a google.protobuf.Any in JSON may hold. */
  reading?: Partial<Pick<ServeOptions, "readMaxBytes" | "jsonOptions">>;
}

export interface Gateway {
  fetch(req: Request, server?: Server): Promise<Response>;
  listen(): Promise<Listening>;
}

/** The one way in: Connect, gRPC-Web, gRPC and REST, all through the same limits and into the same RPCs. */
export function createGateway(options: GatewayOptions): Gateway {
  const { services, verifier, locks, log, metrics, config, clock = systemClock() } = options;
  const shutdown = new AbortController();
  const down = () =>
    shutdown.abort(refused(Code.Unavailable, "SHUTTING_DOWN", "this server is going down: call again", 1_000));
  const servers = new WeakMap<Request, Server>();
  const onStream = (req: Request) => servers.get(req)?.timeout(req, 0);

  const rpcs = exposed(services, verifier).map(createBounds({ verifier, clock }));
  const limit = config.rateLimits ? createLimit({ locks, verifier, metrics }) : async () => {};
  const enter = createEntry({ limit, verifier, log, metrics });
  const gate = ({ method, requestHeader, responseHeader }: HandlerContext) =>
    enter(method, requestHeader, responseHeader);
  const routeAll = (router: ConnectRouter) => {
    route(router, rpcs);
    routeReflection(router, [...new Set(rpcs.map(({ method }) => method.parent))]);
  };
  const serving = { readMaxBytes: BODY_BYTES_MAX, ...options.reading, gate, shutdown: shutdown.signal };

  const answerRpc = serveRoutes(routeAll, { ...serving, onStream, log });
  const restRoutes = createRoutes(rpcs);
  const answerRest = createRest(restRoutes, { enter, log, shutdown: shutdown.signal, onStream });
  const pages = createPages({
    services,
    rpcs,
    openapi: createOpenApi(restRoutes.all),
    closing: () => shutdown.signal.aborted,
  });
  if (options.pages) pages.route("/", options.pages);
  const addressOf = createAddresses(config.trustedProxies);
  const cors = createCors(config.corsOrigins);

  async function answerPage(req: Request, path: string, context: Context): Promise<Response> {
    const absolute = req.url.startsWith("/") ? new Request(`http://localhost${req.url}`, req) : req;
    const answer = await pages.fetch(absolute);
    if (answer.status !== 404 || answer.headers.get("content-type")?.startsWith("text/plain") === false) return answer;
    const known = req.method !== "GET" && pages.routes.some((each) => each.path === path && each.method === "GET");
    if (known) return methodNotAllowed(req.method, ["GET"], context);
    return problemResponse(new ConnectError(`there is nothing at ${path}`, Code.NotFound), context);
  }

  async function fetch(req: Request, server?: Server): Promise<Response> {
    if (server) servers.set(req, server);
    const { headers } = req;
    const https = config.trustedProxies.length > 0 && headers.get("x-forwarded-proto") === "https";
    const context = admit(headers, server?.requestIP(req)?.address ?? "", addressOf);
    let answer: Response;
    try {
      const path = pathOf(req.url);
      answer = await (cors.preflight(req) ??
        answerRpc(req) ??
        answerRest(req, path, context) ??
        answerPage(req, path, context));
    } catch (error) {
      if (!req.signal.aborted) withContext(context, () => log.error("edge.failed", error));
      answer = problemResponse(asConnectError(error, context), context);
    }
    secure(answer.headers, context, https);
    cors.expose(answer.headers, headers.get("origin"));
    return answer;
  }

  return { fetch, listen: () => listen({ config, log, metrics, services, addressOf, routeAll, serving, fetch, down }) };
}

/** What the outside may call: not what services ask of each other, and OpsService once for all of them. */
function exposed(services: EdgeService[], verifier: Verifier): Rpc[] {
  const open = services.flatMap(({ rpcs }) => rpcs).filter((rpc) => !isOps(rpc) && !isInternal(rpc));
  return [...open, ...aggregateOps(services, verifier)];
}

function isInternal({ method }: Rpc): boolean {
  return hasOption(method, access) && getOption(method, access) === Access.SERVICE;
}
