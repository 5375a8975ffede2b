import { pathOf, unlessAborted } from "../../packages/service/http.ts";
import type { Rpc } from "../../packages/service/rpc.ts";
import type { Running } from "../../packages/service/runtime.ts";
import { VERSION } from "../../packages/service/version.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";

/** A service as the edge sees it. */
export interface EdgeService {
  name: string;
  rpcs: Rpc[];
  /** Resolves when it can serve; rejects, or keeps silent, when it cannot. */
  ready(signal: AbortSignal): Promise<unknown>;
  /** Left out where the service is in another process, which tells it itself. */
  backlog?: Running["backlog"];
}

const READY_MS_MAX = 2_000;

/** Whether each service's database answers. */
async function readiness(services: EdgeService[]): Promise<Record<string, "ok" | "unreachable">> {
  const states = services.map(async ({ name, ready }) => {
    const patience = AbortSignal.timeout(READY_MS_MAX);
    const answers = unlessAborted(patience, ready(patience));
    return [
      name,
      await answers.then(
        () => "ok" as const,
        () => "unreachable" as const,
      ),
    ] as const;
  });
  return Object.fromEntries(await Promise.all(states));
}

/** What /readyz answers: 200 when every service can serve, and this process is not going down. */
export async function readyAnswer(services: EdgeService[], closing: boolean): Promise<Response> {
  const states = await readiness(services);
  const ready = !closing && Object.values(states).every((state) => state === "ok");
  const body = JSON.stringify({ status: ready ? "ready" : "not ready", services: states });
  return new Response(body, { status: ready ? 200 : 503, headers: { "content-type": "application/json" } });
}

/** What an operator's port answers: /metrics, /health in detail, /healthz. */
export function createOpsPages(
  services: EdgeService[],
  metrics: Metrics,
  log: Log,
): (req: Request) => Promise<Response> {
  metrics.onScrape(() => measureBacklogs(services, metrics, log));
  return async (req) => {
    const path = pathOf(req.url);
    if (path === "/metrics") {
      const { contentType, body } = await metrics.expose();
      return new Response(body, { headers: { "content-type": contentType } });
    }
    if (path === "/health") return health(services);
    if (path === "/healthz") return Response.json({ status: "alive" });
    return new Response("/metrics  for Prometheus\n/health   every service: database and backlog\n/healthz  alive\n", {
      status: path === "/" ? 200 : 404,
    });
  };
}

async function measureBacklogs(services: EdgeService[], metrics: Metrics, log: Log): Promise<void> {
  const counts = services.map(async ({ name, backlog }) => {
    if (!backlog) return;
    const { outbox, due, scheduled, parked } = await backlog();
    for (const [kind, rows] of Object.entries({ outbox, due, scheduled, parked }))
      metrics.backlog.set({ service: name, kind }, Number(rows));
  });
  // A service that cannot be asked must not hide the others from the scrape.
  for (const outcome of await Promise.allSettled(counts))
    if (outcome.status === "rejected") log.error("metrics.backlog_failed", outcome.reason);
}

async function health(services: EdgeService[]): Promise<Response> {
  const databases = await readiness(services);
  const entries = services.map(async ({ name, backlog }) => [
    name,
    { database: databases[name], ...(backlog && { backlog: databases[name] === "ok" ? await backlog() : null }) },
  ]);
  const ready = Object.values(databases).every((state) => state === "ok");
  const body = {
    status: ready ? "ready" : "not ready",
    version: VERSION,
    services: Object.fromEntries(await Promise.all(entries)),
  };
  const text = JSON.stringify(body, (_, value) => (typeof value === "bigint" ? Number(value) : value), 2);
  return new Response(text, { status: ready ? 200 : 503, headers: { "content-type": "application/json" } });
}
