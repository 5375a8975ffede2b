import type { Backlog } from "../../database/backlog.ts";
import type { Parts } from "../../telemetry/inspection.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Clock } from "../../time/clock.ts";
import type { FollowedTime } from "../../time/followed.ts";
import { keptFor } from "../../time/kept.ts";
import { within } from "../../time/wait.ts";
import type { Served } from "../outside.ts";
import { VERSION } from "../version.ts";
import { pathOf } from "./http.ts";
import { showParts } from "./part-metrics.ts";
import { inspectParts } from "./parts.ts";
import type { Rpc } from "./rpc.ts";

/** A service as the edge sees it. */
export interface EdgeService {
  name: string;
  rpcs: Rpc[];
  pages?: Served;
  /** Resolves when it can serve; rejects, or keeps silent, when it cannot. */
  ready(signal: AbortSignal): Promise<unknown>;
  /** Left out where the service is in another process, which tells it itself. */
  backlog?(): Promise<Backlog>;
}

const READY_MS_MAX = 2_000;
const BACKLOG_MS_MAX = 1_000;
const WARNING_MS = 1_000;
const ALARM_MS = 10_000;

interface Readiness {
  state: "ok" | "unreachable";
  /** For operators alone: it names hosts. */
  because?: string;
}

/** Whether each service's database answers. */
async function readiness(services: EdgeService[]): Promise<Record<string, Readiness>> {
  const states = services.map(async ({ name, ready }): Promise<[string, Readiness]> => {
    try {
      await within(READY_MS_MAX, "no answer", ready);
      return [name, { state: "ok" }];
    } catch (error) {
      return [name, { state: "unreachable", because: String(error) }];
    }
  });
  return Object.fromEntries(await Promise.all(states));
}

function allOk(states: Record<string, Readiness>): boolean {
  return Object.values(states).every(({ state }) => state === "ok");
}

/** How long an answer is kept. Probes ask less often than that, so that none of them is given an answer from before an outage. */
const READY_KEPT_MS = 1_000;

/**
 * What /readyz answers: 200 when every service can serve, and this process knows the time and is not going down. The databases are asked at most once a second, however many
 * ask here: anybody may.
 */
export function createReadyAnswer(
  services: EdgeService[],
  closing: () => boolean,
  { now }: Pick<Clock, "now">,
  time?: Pick<FollowedTime, "skewMs">,
): () => Promise<Response> {
  const ask = keptFor(
    READY_KEPT_MS,
    () => now().getTime(),
    () => readiness(services),
  );
  return async () => {
    const states = await ask();
    // By this machine's clock alone a good token may look old, and an old one good.
    const timeless = time !== undefined && time.skewMs() === undefined;
    const ready = !closing() && !timeless && allOk(states);
    const told = Object.fromEntries(Object.entries(states).map(([name, { state }]) => [name, state]));
    const body = JSON.stringify({ status: ready ? "ready" : "not ready", services: told });
    return new Response(body, { status: ready ? 200 : 503, headers: { "content-type": "application/json" } });
  };
}

export interface OpsOptions {
  time?: Pick<FollowedTime, "skewMs"> | undefined;
  /** What this process stands on. */
  parts?: Parts | undefined;
}

/** What an operator's port answers: /metrics, /health in detail, /healthz. */
export function createOpsPages(
  services: EdgeService[],
  metrics: Metrics,
  log: Log,
  { time, parts = {} }: OpsOptions = {},
): (req: Request) => Promise<Response> {
  metrics.onScrape(() => measureBacklogs(services, metrics, log));
  showParts(parts, metrics);
  return async (req) => {
    const path = pathOf(req.url);
    if (path === "/metrics") {
      const { contentType, body } = await metrics.expose();
      return new Response(body, { headers: { "content-type": contentType } });
    }
    if (path === "/health") return health(services, time?.skewMs(), parts);
    if (path === "/healthz") return Response.json({ status: "alive" });
    return new Response(
      "/metrics  for Prometheus\n/health   every service: database and backlog; what they stand on\n/healthz  alive\n",
      { status: path === "/" ? 200 : 404 },
    );
  };
}

/** A service that cannot be asked does not hide the others from the scrape, and nothing old is shown of it. */
async function measureBacklogs(services: EdgeService[], metrics: Metrics, log: Log): Promise<void> {
  const counts = services.map(async ({ name, ready, backlog }) => {
    if (!backlog) return;
    const answers = inTime(ready).then(
      () => 1,
      () => 0,
    );
    try {
      showBacklog(name, await inTime(backlog), metrics);
    } catch (error) {
      log.error("metrics.backlog_failed", error, { backlog: name });
      hideBacklog(name, metrics);
    }
    metrics.databaseAnswers.set({ service: name }, await answers);
  });
  await Promise.all(counts);
}

function showBacklog(service: string, backlog: Backlog, metrics: Metrics): void {
  const { outbox, outboxOldest, due, dueOldest, scheduled, parked, asOf } = backlog;
  const age = (since: Date | null) => (since ? Math.max(0, asOf.getTime() - since.getTime()) / 1_000 : 0);
  for (const [kind, rows] of Object.entries({ outbox, due, scheduled, parked }))
    metrics.backlog.set({ service, kind }, Number(rows));
  metrics.backlogOldest.set({ service, kind: "outbox" }, age(outboxOldest));
  metrics.backlogOldest.set({ service, kind: "due" }, age(dueOldest));
}

function hideBacklog(service: string, metrics: Metrics): void {
  for (const kind of ["outbox", "due", "scheduled", "parked"]) {
    metrics.backlog.remove({ service, kind });
    metrics.backlogOldest.remove({ service, kind });
  }
}

/** One service that keeps silent holds up nothing that is told of the others. */
const inTime = <T>(ask: (deadline: AbortSignal) => Promise<T>) => within(BACKLOG_MS_MAX, "gave no answer", ask);

/** A clock that is further off than a second wants to be set; further than ten, somebody should look today. Nothing goes wrong either way. */
function clockHealth(skewMs: number) {
  const off = Math.abs(skewMs);
  return { skew_ms: Math.round(skewMs), state: off > ALARM_MS ? "alarm" : off > WARNING_MS ? "warning" : "ok" };
}

/** How the parts are says nothing of whether it is ready: a queue that waits is no reason to take a process out. */
async function health(services: EdgeService[], skewMs: number | undefined, parts: Parts): Promise<Response> {
  const inspecting = inspectParts(parts);
  const reading = readiness(services);
  const entries = services.map(async ({ name, backlog }) => {
    const counted = backlog && inTime(backlog).catch((error: unknown) => ({ unanswered: String(error) }));
    const { state: database, because } = (await reading)[name] ?? {};
    return [name, { database, ...(because && { because }), ...(counted && { backlog: await counted }) }];
  });
  const ready = allOk(await reading);
  const body = {
    status: ready ? "ready" : "not ready",
    version: VERSION,
    ...(skewMs !== undefined && { clock: clockHealth(skewMs) }),
    services: Object.fromEntries(await Promise.all(entries)),
    parts: await inspecting,
  };
  const text = JSON.stringify(body, (_, value) => (typeof value === "bigint" ? Number(value) : value), 2);
  return new Response(text, { status: ready ? 200 : 503, headers: { "content-type": "application/json" } });
}
