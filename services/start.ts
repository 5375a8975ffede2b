import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AuthService } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { startEmbeddedPostgres } from "../packages/database/embedded.ts";
import { explain, explainDatabase } from "../packages/database/start-error.ts";
import type { Events } from "../packages/events/events.ts";
import { createKafkaEvents } from "../packages/events/kafka.ts";
import type { Jobs } from "../packages/jobs/jobs.ts";
import { createRabbitmqJobs } from "../packages/jobs/rabbitmq.ts";
import { createEmbeddedLocks } from "../packages/locks/embedded.ts";
import type { Locks } from "../packages/locks/locks.ts";
import { createRedisLocks } from "../packages/locks/redis.ts";
import type { App } from "../packages/service/app.ts";
import { type Anchor, systemClock } from "../packages/service/clock.ts";
import { systemRandom } from "../packages/service/random.ts";
import type { Service } from "../packages/service/service.ts";
import { createVerifier } from "../packages/service/tokens.ts";
import type { Log } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";
import { type Environment, loadServices } from "./all.ts";
import { readConfig as authConfig } from "./auth/config.ts";
import { anchorFor, keptSecrets } from "./data-folder.ts";
import { createElsewhere } from "./elsewhere.ts";
import { createGateway, type GatewayOptions } from "./gateway/gateway.ts";
import type { Listening } from "./gateway/listen.ts";
import { listenInside } from "./inside.ts";
import { startCatcher } from "./mail/embedded.ts";
import type { PaymentConfig } from "./payment/config.ts";
import { paymentRoutes } from "./payment/routes.ts";
import { type Platform, type PlatformOptions, startPlatform, usersKeys } from "./platform.ts";
import { type Settings, sentence } from "./settings.ts";

/** What is to be closed, the last first. */
export type Stops = (() => Promise<void>)[];

export async function start(settings: Settings, env: Environment, log: Log, stops: Stops): Promise<void> {
  const { kind, gateway, kafka, rabbitmq, redis } = settings;
  if (kind === "all") await startAll(settings, env, log, stops);
  if (kind === "gateway") await startEdge(settings, log, stops);
  if (kind === "services") await startServices(settings, env, log, stops);
  const carriers = { events: kafka && "kafka", jobs: rabbitmq && "rabbitmq", locks: redis && "redis" };
  log.info("ports", Object.fromEntries(Object.entries(carriers).map(([port, real]) => [port, real ?? "embedded"])));
  if (kind !== "services" && !gateway.rateLimits) log.warn("rate limits are off: fit for benches only");
}

/** Everything in this process, on whatever of it is not embedded. */
async function startAll(settings: Settings, env: Environment, log: Log, stops: Stops): Promise<void> {
  const { dataDir, timeScale } = settings;
  // What is wrong with the services' settings is told before anything is made.
  await load(settings.services, env);
  const databaseUrl = settings.databaseUrl ?? (await embeddedDatabase(dataDir, log, stops));
  const { secrets, anchor } = keptData(dataDir, timeScale);
  const adminPassword = env["ADMIN_PASSWORD"] || secrets.adminPassword;
  const base = foundation(settings, anchor, log, stops);
  const services = await load(settings.services, { ...env, ADMIN_PASSWORD: adminPassword });
  const platform = await platformOn(base, { services, databaseUrl, secret: settings.secret || secrets.database });
  const catcher = await catcherOf(base, platform);
  const pages = pagesOf(platform)["payment"];
  const listening = await openEdge(base, { ...platform, ...(pages && { pages }) });
  announce(settings, {
    ...listening,
    mailPort: catcher?.port ?? 0,
    smtpPort: catcher?.smtpPort ?? 0,
    adminEmail: authConfig(env).adminEmail,
    adminPassword,
  });
}

/** The edge alone. It needs no database and no secret: it passes on what it is asked, and each service decides. */
async function startEdge(settings: Settings, log: Log, stops: Stops): Promise<void> {
  const base = foundation(settings, settings.anchor, log, stops);
  const { services, pages, transport } = createElsewhere(settings.urls);
  const verifier = createVerifier(async () => ({ keys: await usersKeys(transport(AuthService)) }), systemClock());
  const locks = locksOn(base);
  stops.push(locks.close);
  const { port, grpcPort, opsPort } = await openEdge(base, { services, verifier, locks, pages });
  log.info("open", { runs: "gateway", port, grpc_port: grpcPort, ops_port: opsPort });
}

/** Some services, for the edge and for each other. */
async function startServices(settings: Settings, env: Environment, log: Log, stops: Stops): Promise<void> {
  const base = foundation(settings, settings.anchor, log, stops);
  const services = await load(settings.services, env);
  const { databaseUrl = "", secret, urls, gateway } = settings;
  const elsewhere = createElsewhere(urls).transport;
  const platform = await platformOn(base, { services, databaseUrl, secret, elsewhere });
  await catcherOf(base, platform);
  const inside = listenInside({ ...gateway, ...base, services: platform.services, pages: pagesOf(platform) });
  stops.push(inside.close);
  log.info("open", { runs: settings.services.join(" "), port: inside.port, ops_port: inside.opsPort });
}

/** What every kind of process stands on. */
function foundation(settings: Settings, anchor: Anchor, log: Log, stops: Stops) {
  const clock = systemClock(settings.timeScale, anchor);
  return { settings, stops, log, clock, random: systemRandom(clock), metrics: createMetrics() };
}

type Foundation = ReturnType<typeof foundation>;

/** Nobody else writes into a private database, and who writes in this process rings. */
const PRIVATE_POLL_MS = 1_000;

async function platformOn(
  base: Foundation,
  where: Pick<PlatformOptions, "services" | "databaseUrl" | "secret" | "elsewhere">,
): Promise<Platform> {
  const { databaseUrl, databaseUrls, replicaUrls, dataDir, relay } = base.settings;
  const platform = await startPlatform({
    ...base,
    ...where,
    databaseUrls,
    replicaUrls,
    databasePrefix: "bodega",
    relay,
    ...(!databaseUrl && { pollMs: PRIVATE_POLL_MS }),
    securityClock: systemClock(),
    ...eventsOn(base),
    ...(await jobsOn(base)),
    locks: locksOn(base),
  }).catch((error: unknown) => {
    throw explainDatabase(error, databaseUrl ? undefined : dataDir);
  });
  base.stops.push(platform.close);
  return platform;
}

async function openEdge(
  { settings, log, metrics, stops }: Foundation,
  behind: Pick<GatewayOptions, "services" | "verifier" | "locks" | "pages">,
): Promise<Listening> {
  const { services, verifier, locks, pages } = behind;
  const edge = createGateway({
    ...{ services, verifier, locks, metrics, config: settings.gateway, log: log.with({ service: "gateway" }) },
    ...(pages && { pages }),
  });
  const listening = await edge.listen();
  stops.push(listening.close);
  return listening;
}

/** Beside the service whose mails it catches. */
async function catcherOf({ settings, stops }: Foundation, { services }: Platform) {
  const mail = services.find(({ name }) => name === "mail");
  if (!mail) return undefined;
  const { mailPort, smtpPort, gateway } = settings;
  const catcher = await startCatcher(mail.app, { mailPort, smtpPort, host: gateway.host });
  stops.push(catcher.close);
  return catcher;
}

/** What a service answers to browsers beside its RPCs. */
function pagesOf({ services }: Platform) {
  const payment = services.find(({ name }) => name === "payment");
  // Every app lies in one list; payment's carries payment's configuration.
  return payment ? { payment: paymentRoutes(payment.app as App<PaymentConfig>) } : {};
}

function eventsOn({ settings, log }: Foundation): { events?: Events } {
  const { kafka: brokers } = settings;
  const nowMs = () => performance.now();
  return brokers ? { events: createKafkaEvents({ brokers, log: log.with({ service: "broker" }), nowMs }) } : {};
}

async function jobsOn({ settings, log }: Foundation): Promise<{ jobs?: Jobs }> {
  const { rabbitmq } = settings;
  if (!rabbitmq) return {};
  const nowMs = () => performance.now();
  const connecting = createRabbitmqJobs({ ...rabbitmq, log: log.with({ service: "broker" }), nowMs });
  return {
    jobs: await connecting.catch((error: unknown) => {
      throw sentence(error);
    }),
  };
}

function locksOn({ settings, log, random }: Foundation): Locks {
  const { redis: address } = settings;
  const nowMs = () => performance.now();
  if (!address) return createEmbeddedLocks(nowMs, random.id);
  return createRedisLocks({ address, log, nowMs, newToken: random.id });
}

function load(names: string[], env: Environment): Promise<Service[]> {
  return loadServices(names, env).catch((error: unknown) => {
    throw sentence(error);
  });
}

function keptData(dataDir: string, timeScale: number) {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const secrets = keptSecrets(join(dataDir, "secrets.json"));
    return { secrets, anchor: anchorFor(join(dataDir, "clock.json"), timeScale) };
  } catch (error) {
    throw explain(error, dataDir);
  }
}

async function embeddedDatabase(dataDir: string, log: Log, stops: Stops): Promise<string> {
  const server = await startEmbeddedPostgres({ dataDir, log: (line) => log.info("postgres", { line }) });
  stops.push(server.close);
  return server.url;
}

interface Where {
  port: number;
  grpcPort: number;
  opsPort: number;
  mailPort: number;
  smtpPort: number;
  adminEmail: string;
  adminPassword: string;
}

function announce({ gateway, dataDir, timeScale }: Settings, where: Where) {
  const host = gateway.host.includes(":") ? `[${gateway.host}]` : gateway.host;
  process.stderr.write(`
  Bodega is open.

  Edge          http://${host}:${where.port}        Connect, gRPC-Web, REST; /openapi.json
  gRPC          ${host}:${where.grpcPort}
  Mail catcher  http://${host}:${where.mailPort}        SMTP on ${where.smtpPort}
  Operations    http://${host}:${where.opsPort}/metrics
  Admin         ${where.adminEmail}  ${where.adminPassword}
  Data          ${dataDir}${timeScale === 1 ? "" : `\n  Time          runs ${timeScale} times as fast`}

`);
}
