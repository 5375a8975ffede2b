import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { type Database, openDatabase } from "../../packages/database/database.ts";
import { databaseOn, keyOf } from "../../packages/database/provision.ts";
import type { Jobs } from "../../packages/jobs/jobs.ts";
import type { Locks } from "../../packages/locks/locks.ts";
import type { App } from "../../packages/service/app.ts";
import type { Running } from "../../packages/service/engine/runtime.ts";
import { route } from "../../packages/service/wire/rpc.ts";
import { generateSigningKey, signToken } from "../../packages/service/wire/tokens.ts";
import { createLog, jsonLine, type Line } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { type DrivenClock, drivenClock } from "../../packages/time/clock.ts";
import { type Random, systemRandom } from "../../packages/time/random.ts";
import { loadServices, SERVICE_NAMES } from "../../services/all.ts";
import { type Platform, PRIVATE_POLL_MS, startPlatform } from "../../services/platform.ts";
import { dropDatabases } from "./databases.ts";
import { testPostgres } from "./postgres.ts";
import { ON_SERVERS, realPorts } from "./servers/real-ports.ts";

export interface User {
  userId: string;
  roles: Role[];
}

/** All services, or some, in this process, on fresh databases and a clock that only the test moves. */
export interface System {
  clock: DrivenClock;
  random: Random;
  platform: Platform;
  /** The embedded broker's database. */
  broker: Database;
  /** Log lines so far. */
  lines: Line[];
  /** A typed client in a user's name; `runs` names the service that answers where several do, as with OpsService. */
  as<S extends DescService>(who: "anonymous" | "admin" | "kitchen" | User, service: S, runs?: string): Client<S>;
  token(who: User): Promise<string>;
  newCustomer(): User;
  admin: User;
  app(service: string): App;
  /** Resolves when nothing is on its way: outboxes empty, facts and jobs delivered, due jobs done. Retries are waited for by moving the clock. */
  settle(): Promise<void>;
  /** Moves the clock, then settles. */
  advance(ms: number): Promise<void>;
  /** Ends the platform, whatever is on its way, and starts it again over what it kept. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface SystemOptions {
  /** Names of the services to run; all by default. */
  services?: string[];
  /** Environment variables for the services' configuration. */
  env?: Record<string, string>;
  relay?: "wal" | "poll";
  /** How often to look for what other processes have written. */
  pollMs?: number;
  locks?: Locks;
  jobs?: Jobs;
  /** Another PostgreSQL than the one that all tests share, and its replicas. */
  databaseUrl?: string;
  replicaUrls?: string[];
}

export const ENVIRONMENT = {
  DEMO: "off",
  KITCHEN_STAFF: "off",
  ADMIN_EMAIL: "admin@bodega.test",
  ADMIN_PASSWORD: "correct horse battery",
  EVENTLOG_SECRET: "a secret of the tests, long enough",
};
const SECRET = "test";
const START = new Date("2026-01-05T08:00:00Z");
let systems = 0;

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const databaseUrl = options.databaseUrl ?? (await testPostgres());
  const clock = drivenClock(START);
  const random = systemRandom(clock);
  const lines: Line[] = [];
  const databasePrefix = `t${process.pid}_${systems++}`;
  const log = createLog((line) => {
    lines.push(line);
    if (process.env["LOG"]) process.stderr.write(jsonLine(line));
  });
  const key = await generateSigningKey("test");
  const boot = async () =>
    startPlatform({
      services: await loadServices(options.services ?? SERVICE_NAMES, { ...ENVIRONMENT, ...options.env }),
      trustedKeys: [key.publicJwk],
      databaseUrl,
      ...(options.replicaUrls && { replicaUrls: options.replicaUrls }),
      databasePrefix,
      secret: SECRET,
      relay: options.relay ?? "poll",
      pollMs: options.pollMs ?? PRIVATE_POLL_MS,
      ...(await realPorts(databasePrefix, log)),
      ...(options.locks && { locks: options.locks }),
      ...(options.jobs && { jobs: options.jobs }),
      clock,
      securityClock: clock,
      random,
      log,
      metrics: createMetrics(),
    });
  let platform = await boot();
  const admin = { userId: random.id(), roles: [Role.ADMIN, Role.CUSTOMER] };
  const kitchen = { userId: random.id(), roles: [Role.KITCHEN] };
  const token = async (who: User) => (await signToken(key, { ...who, tokenId: random.id() }, clock.now())).token;
  const runningOf = (typeName: string) =>
    platform.services.find(({ rpcs }) => rpcs.some(({ method }) => method.parent.typeName === typeName));

  function as<S extends DescService>(
    who: "anonymous" | "admin" | "kitchen" | User,
    service: S,
    runs?: string,
  ): Client<S> {
    const user = who === "admin" ? admin : who === "kitchen" ? kitchen : who;
    const bearer: Interceptor = (next) => async (req) => {
      if (user !== "anonymous") req.header.set("authorization", `Bearer ${await token(user)}`);
      return next(req);
    };
    const running = runs ? platform.services.find(({ name }) => name === runs) : runningOf(service.typeName);
    if (!running) throw new Error(`${service.typeName} does not run in this system`);
    return createClient(
      service,
      createRouterTransport((router) => route(router, running.rpcs), { transport: { interceptors: [bearer] } }),
    );
  }

  const brokerName = `${databasePrefix}_broker`;
  const broker = openDatabase(databaseOn(databaseUrl, keyOf(SECRET, brokerName), brokerName), "test-broker");
  const settle = () => settled(platform, clock);
  return {
    clock,
    random,
    get platform() {
      return platform;
    },
    broker,
    lines,
    as,
    token,
    admin,
    newCustomer: () => ({ userId: random.id(), roles: [Role.CUSTOMER] }),
    app(service) {
      const running = platform.services.find(({ name }) => name === service);
      if (!running) throw new Error(`${service} does not run in this system`);
      return running.app;
    },
    settle,
    async advance(ms) {
      clock.advance(ms);
      await settle();
    },
    async restart() {
      await platform.close();
      platform = await boot();
    },
    async close() {
      await platform.close();
      await broker.close();
      await dropDatabases(databaseUrl, databasePrefix);
    },
  };
}

/** So far retries are waited for: what an outage keeps waiting is tried again for days. */
const RETRY_HORIZON_MS = 60_000;
const ROUNDS_MAX = 2_000;
/** Looks that must all find nothing. A real broker does not tell what a consumer holds at the moment, so it is given half a second. */
const QUIET_LOOKS = ON_SERVERS ? 12 : 2;
const LOOK_MS = ON_SERVERS ? 40 : 1;

async function settled(platform: Platform, clock: DrivenClock): Promise<void> {
  const horizon = clock.now().getTime() + RETRY_HORIZON_MS;
  let quiet = 0;
  let moved = -1;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const busy = await waiting(platform);
    // A message on its way is in no place while each place is looked at in turn; but then something has moved between two looks.
    const before = moved;
    moved = await messagesMoved(platform);
    quiet = busy === 0 && moved === before ? quiet + 1 : 0;
    if (quiet >= QUIET_LOOKS) {
      const retry = await nextRetry(platform.services, clock, horizon);
      if (retry === null) return;
      clock.advance(retry);
      quiet = 0;
    }
    await Bun.sleep(busy === 0 ? LOOK_MS : 3);
  }
  throw new Error(
    `the system did not come to rest: ${JSON.stringify(await Promise.all(platform.services.map(async (each) => [each.name, await each.backlog(), each.busy()])), (_, value) => (typeof value === "bigint" ? Number(value) : value))}`,
  );
}

/** How many facts were published, and messages taken, until now. */
async function messagesMoved({ services }: Platform): Promise<number> {
  const [first] = services;
  if (!first) return 0;
  const { messages, published } = first.app.metrics;
  const counters = await Promise.all([messages.get(), published.get()]);
  return counters.flatMap(({ values }) => values).reduce((sum, { value }) => sum + value, 0);
}

async function waiting({ services, events, jobs }: Platform): Promise<number> {
  const counts = await Promise.all(
    services.map(async (running) => {
      const { outbox, due } = await running.backlog();
      const behind = due > 0n ? await behindRetries(running.app) : 0n;
      return Number(outbox + due - behind) + running.busy();
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0) + (await carried(events)) + (await carried(jobs));
}

/** Facts that are due, but behind one of their key that is tried again only later: they wait for the clock too. */
async function behindRetries({ sql, clock }: App): Promise<bigint> {
  const now = clock.now();
  const [row] = await sql<{ count: bigint }[]>`
    select count(*) as count from jobs j where kind = 'fact' and due_at <= ${now} and exists (
      select from jobs e where e.kind = 'fact' and e.key = j.key and e.sequence < j.sequence and e.due_at > ${now})`;
  return row?.count ?? 0n;
}

/** A broker that cannot be asked right now is not at rest. */
function carried(port: Pick<Jobs, "undelivered">): Promise<number> {
  return ON_SERVERS ? port.undelivered().catch(() => 1) : port.undelivered();
}

/** Milliseconds until the next job that failed before is tried again; null when there is none before the horizon. */
async function nextRetry(services: Running[], clock: DrivenClock, horizon: number): Promise<number | null> {
  const dues = await Promise.all(
    services.map(async ({ app }) => {
      const [row] = await app.sql<{ at: Date | null }[]>`select min(due_at) as at from jobs where attempts > 0`;
      return row?.at?.getTime() ?? Number.POSITIVE_INFINITY;
    }),
  );
  const next = Math.min(...dues);
  return next <= horizon ? Math.max(next - clock.now().getTime(), 1) : null;
}
