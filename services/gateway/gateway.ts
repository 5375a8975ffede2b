import { getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { Access, access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import type { Locks } from "../../packages/locks/locks.ts";
import type { Verifier } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { EdgeService } from "../../packages/service/wire/health.ts";
import { pathOf, type ServeOptions, serveRoutes } from "../../packages/service/wire/http.ts";
import type { Server } from "../../packages/service/wire/listen.ts";
import { asConnectError } from "../../packages/service/wire/problem.ts";
import { routeReflection } from "../../packages/service/wire/reflection.ts";
import { nothingAt, refusalResponse } from "../../packages/service/wire/refusal.ts";
import { type Rpc, route } from "../../packages/service/wire/rpc.ts";
import { type Context, withContext } from "../../packages/telemetry/context.ts";
import type { Parts } from "../../packages/telemetry/inspection.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";
import { type Clock, systemClock } from "../../packages/time/clock.ts";
import type { FollowedTime } from "../../packages/time/followed.ts";
import { sleep } from "../../packages/time/wait.ts";
import { createBounds } from "./admission/bounds.ts";
import { createCrowd, isCall } from "./admission/crowd.ts";
import { createDoor } from "./admission/door.ts";
import { forPeople } from "./admission/for-people.ts";
import { createEntry, createLimit } from "./admission/limits.ts";
import { createOrigins } from "./admission/origin.ts";
import type { GatewayConfig } from "./config.ts";
import { admit, checkHost, createCors, secure } from "./headers.ts";
import { type Listening, listen } from "./listen.ts";
import { aggregateOps, isOps } from "./ops.ts";
import { createPages } from "./pages.ts";
import { createOpenApi } from "./rest/openapi.ts";
import { createRest, methodNotAllowed } from "./rest/rest.ts";
import { BODY_BYTES_MAX } from "./rest/rest-request.ts";
import { createRoutes } from "./routes.ts";
import { createWatch } from "./watch-requests.ts";

export interface GatewayOptions {
  services: EdgeService[];
  verifier: Verifier;
  /** Counts calls, for limits. */
  locks: Locks;
  log: Log;
  metrics: Metrics;
  config: GatewayConfig;
  /** The clock that tokens live by; the machine's unless a test drives one. */
  clock?: Clock;
  /** Behind that clock: how far this machine's own is off. */
  time?: Pick<FollowedTime, "skewMs">;
  /** What the process stands on, told on the port for operators. */
  parts?: Parts;
  /** Calls under way at one time, where not as usual. */
  underWayMax?: number;
  /** How Connect and gRPC read messages, where not as usual: of how many bytes, and which types a google.protobuf.Any in JSON may hold. */
  reading?: Partial<Pick<ServeOptions, "readMaxBytes" | "jsonOptions">>;
}

export interface Gateway {
  fetch(req: Request, server?: Server): Promise<Response>;
  listen(): Promise<Listening>;
}

/** The one way in: Connect, gRPC-Web, gRPC and REST, all through the same limits and into the same RPCs. */
export function createGateway(options: GatewayOptions): Gateway {
  const { services, locks, log, metrics, config, clock = systemClock() } = options;
  const verifier = forPeople(options.verifier);
  const shutdown = new AbortController();
  let leaving = false;
  /** A load balancer has time to see that this one goes, before it is refused anything. */
  async function goDown() {
    leaving = true;
    await sleep(config.drainMs);
    shutdown.abort(refused(Code.Unavailable, "SHUTTING_DOWN", "this server is going down: call again", 1_000));
  }
  const staysOpen = new WeakMap<Request, () => void>();
  const onStream = (req: Request) => staysOpen.get(req)?.();

  // gRPC comes in by a listener of its own, so that its calls are counted when they begin.
  const [requests, calls] = [createCrowd(metrics, options.underWayMax), createCrowd(metrics, options.underWayMax)];
  const rpcs = exposed(services, verifier).map(createBounds({ verifier, clock, crowd: calls }));
  const limit = config.rateLimits ? createLimit({ locks, verifier, metrics }) : async () => {};
  const door = config.rateLimits ? createDoor(() => clock.now().getTime()) : () => undefined;
  const enter = createEntry({ limit, verifier, log, metrics });
  const gate = ({ method, requestHeader, responseHeader }: HandlerContext) =>
    enter(method, requestHeader, responseHeader);
  const routeAll = (router: ConnectRouter) => {
    route(router, rpcs);
    if (config.reflection) routeReflection(router, [...new Set(rpcs.map(({ method }) => method.parent))]);
  };
  const serving = { readMaxBytes: BODY_BYTES_MAX, ...options.reading, gate, shutdown: shutdown.signal };

  const answerRpc = serveRoutes(routeAll, { ...serving, onStream, log });
  const restRoutes = createRoutes(rpcs);
  const answerRest = createRest(restRoutes, { enter, log, shutdown: shutdown.signal, onStream });
  const pages = createPages({
    services,
    rpcs,
    openapi: createOpenApi(restRoutes.all, config.basePath),
    basePath: config.basePath,
    securityContact: config.securityContact,
    leaving: () => leaving,
    clock,
    ...(options.time && { time: options.time }),
  });
  const paths = new Set(rpcs.map(({ method }) => `/${method.parent.typeName}/${method.name}`));
  const watch = createWatch(restRoutes, paths, metrics);
  const origins = createOrigins(config.trustedProxies, config.ipv4NetworkBits);
  const cors = createCors(config.corsOrigins);

  async function answerPage(req: Request, path: string, context: Context): Promise<Response> {
    const absolute = req.url.startsWith("/") ? new Request(`http://localhost${req.url}`, req) : req;
    const answer = await pages.fetch(absolute);
    if (answer.status !== 404 || answer.headers.get("content-type")?.startsWith("text/plain") === false) return answer;
    const known = req.method !== "GET" && pages.routes.some((each) => each.path === path && each.method === "GET");
    if (known) return methodNotAllowed(req.method, ["GET"], context);
    return refusalResponse(req, nothingAt(req), context);
  }

  async function fetch(came: Request, server?: Server): Promise<Response> {
    const req = behind(config.basePath, came);
    if (server) staysOpen.set(req, () => server.timeout(came, 0));
    const { headers } = req;
    const arrival = admit(headers, server?.requestIP(came)?.address ?? "", origins.of);
    const { network, https } = arrival;
    const path = pathOf(req.url);
    const contentType = headers.get("content-type") ?? "";
    const watched = watch({ method: req.method, path, contentType, context: arrival.context });
    const { context } = watched;
    headers.set("traceparent", watched.traceparent);
    let answer: Response;
    let leave = () => {};
    try {
      const refusal = path === HEALTH_PATH ? undefined : door(network);
      // The connection ends with it: on one that sends as fast as it can, refusals alone would keep all others waiting.
      if (refusal) {
        watched.answered(429);
        return hangingUp(refusalResponse(req, refusal, context));
      }
      checkHost(headers);
      if (isCall(path)) leave = requests.enter();
      answer = await (cors.preflight(req) ??
        answerRpc(req) ??
        answerRest(req, path, context) ??
        answerPage(req, path, context));
    } catch (error) {
      if (!(error instanceof ConnectError) && !req.signal.aborted)
        withContext(context, () => log.error("edge.failed", error));
      answer = refusalResponse(req, asConnectError(error, context), context);
    }
    leave();
    watched.answered(answer.status);
    secure(answer.headers, context, https);
    cors.expose(answer.headers, headers.get("origin"));
    return answer;
  }

  const { time, parts } = options;
  const listening = {
    config,
    log,
    metrics,
    services,
    origins,
    watch,
    routeAll,
    serving,
    fetch,
    goDown,
    ...(time && { time }),
    ...(parts && { parts }),
  };
  return { fetch, listen: () => listen(listening) };
}

/** The request without the path of PUBLIC_URL before its own: some proxies take it off, some do not. */
function behind(basePath: string, req: Request): Request {
  const path = pathOf(req.url);
  if (basePath === "" || !(path === basePath || path.startsWith(`${basePath}/`))) return req;
  const start = req.url.startsWith("/") ? 0 : req.url.indexOf("/", req.url.indexOf("://") + 3);
  const url = `${req.url.slice(0, start)}${path.slice(basePath.length) || "/"}${req.url.slice(start + path.length)}`;
  return new Request(url.startsWith("/") ? `http://localhost${url}` : url, req);
}

/** Answered whoever else asks whatever. */
const HEALTH_PATH = "/healthz";

function hangingUp(answer: Response): Response {
  answer.headers.set("connection", "close");
  return answer;
}

/** What the outside may call: not what services ask of each other, and OpsService once for all of them. */
function exposed(services: EdgeService[], verifier: Verifier): Rpc[] {
  const open = services.flatMap(({ rpcs }) => rpcs).filter((rpc) => !isOps(rpc) && !isInternal(rpc));
  return [...open, ...aggregateOps(services, verifier)];
}

function isInternal({ method }: Rpc): boolean {
  return hasOption(method, access) && getOption(method, access) === Access.SERVICE;
}
