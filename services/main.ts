import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../packages/database/embedded.ts";
import { explain, explainDatabase, StartError } from "../packages/database/start-error.ts";
import type { Events } from "../packages/events/events.ts";
import { createKafkaEvents } from "../packages/events/kafka.ts";
import { readKafkaBrokers } from "../packages/events/kafka-brokers.ts";
import type { Locks } from "../packages/locks/locks.ts";
import { createRedisLocks } from "../packages/locks/redis.ts";
import { type RedisAddress, readRedisUrl } from "../packages/locks/redis-url.ts";
import type { App } from "../packages/service/app.ts";
import { systemClock } from "../packages/service/clock.ts";
import { type Random, systemRandom } from "../packages/service/random.ts";
import type { Service } from "../packages/service/service.ts";
import { createLog, jsonLine, type Log, readableLine } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";
import { type Environment, loadServices, SERVICE_NAMES } from "./all.ts";
import { readConfig as authConfig } from "./auth/config.ts";
import { anchorFor, keptSecrets } from "./data-folder.ts";
import { readConfig as gatewayConfig, readPort } from "./gateway/config.ts";
import { createGateway } from "./gateway/gateway.ts";
import { startCatcher } from "./mail/embedded.ts";
import type { PaymentConfig } from "./payment/config.ts";
import { paymentRoutes } from "./payment/routes.ts";
import { startPlatform } from "./platform.ts";

/** What later versions speak; a half-understood target must not be ignored. */
const NOT_YET = ["RABBITMQ_URL", "DATABASE_REPLICA_URLS"];

/** Starts Bodega and returns when it serves. Throws StartError with a sentence for what a person can mend. */
export async function main(args: string[], env: Environment = process.env): Promise<void> {
  const settings = readSettings(args, env);
  const log = createLog((line) => process.stdout.write(process.stdout.isTTY ? readableLine(line) : jsonLine(line)));
  const stops: (() => Promise<void>)[] = [];
  const stop = once(async () => {
    for (const close of stops.toReversed()) await close();
  });
  const starting = start(settings, env, log, stops);
  onSignal(async (signal) => {
    log.info("stopping", { signal });
    await Promise.allSettled([starting]);
    await stop();
  });
  try {
    await starting;
  } catch (error) {
    await stop();
    throw error;
  }
}

type Settings = ReturnType<typeof readSettings>;

function readSettings(args: string[], env: Environment) {
  const unknown = args.filter((arg) => arg !== "all");
  if (unknown.length > 0)
    throw new StartError(
      `This version runs all services in one process: expected "all" or nothing, found ${unknown.join(" ")}.`,
    );
  for (const name of NOT_YET) {
    if (env[name])
      throw new StartError(`${name} is set, but this version has only the embedded adapter for it: unset it.`);
  }
  try {
    const relay = env["RELAY"] || "poll";
    if (relay !== "poll" && relay !== "wal") throw new Error(`RELAY must be poll or wal, found ${relay}`);
    return {
      gateway: gatewayConfig(env),
      dataDir: env["DATA_DIR"] || ".data",
      databaseUrl: databaseUrl(env["DATABASE_URL"]),
      kafka: env["KAFKA_BROKERS"] ? readKafkaBrokers(env["KAFKA_BROKERS"]) : undefined,
      redis: env["REDIS_URL"] ? readRedisUrl(env["REDIS_URL"]) : undefined,
      timeScale: positive("TIME_SCALE", env["TIME_SCALE"] || "1"),
      mailPort: readPort(env, "MAIL_PORT", 8025),
      smtpPort: readPort(env, "SMTP_PORT", 1025),
      relay: relay as "poll" | "wal",
    };
  } catch (error) {
    throw sentence(error);
  }
}

async function start(
  settings: Settings,
  env: Environment,
  log: ReturnType<typeof createLog>,
  stops: (() => Promise<void>)[],
): Promise<void> {
  const { gateway: edge, dataDir, timeScale } = settings;
  // What is wrong with the services' settings is told before anything is made.
  await load(env);
  const databaseUrl = settings.databaseUrl ?? (await embeddedDatabase(dataDir, log, stops));
  const { secrets, anchor } = keptData(dataDir, timeScale);
  const clock = systemClock(timeScale, anchor);
  const random = systemRandom(clock);
  const metrics = createMetrics();
  const adminPassword = env["ADMIN_PASSWORD"] || secrets.adminPassword;
  const services = await load({ ...env, ADMIN_PASSWORD: adminPassword });
  const platform = await startPlatform({
    services,
    databaseUrl,
    databasePrefix: "bodega",
    secret: secrets.database,
    relay: settings.relay,
    clock,
    securityClock: systemClock(),
    random,
    log,
    metrics,
    ...(settings.kafka && { events: kafkaEvents(settings.kafka, log) }),
    ...(settings.redis && { locks: redisLocks(settings.redis, log, random) }),
  }).catch((error: unknown) => {
    throw explainDatabase(error, settings.databaseUrl ? undefined : dataDir);
  });
  stops.push(platform.close);
  const mail = appOf(platform.services, "mail");
  const catcher = await startCatcher(mail, {
    mailPort: settings.mailPort,
    smtpPort: settings.smtpPort,
    host: edge.host,
  });
  stops.push(catcher.close);
  const listening = await createGateway({
    services: platform.services,
    verifier: platform.verifier,
    locks: platform.locks,
    log: log.with({ service: "gateway" }),
    metrics,
    config: edge,
    // Every app lies in one list; payment's carries payment's configuration.
    pages: paymentRoutes(appOf(platform.services, "payment") as App<PaymentConfig>),
  }).listen();
  stops.push(listening.close);
  log.info("events", { adapter: settings.kafka ? "kafka" : "embedded" });
  log.info("locks", { adapter: settings.redis ? "redis" : "embedded" });
  if (!edge.rateLimits) log.warn("rate limits are off: fit for benches only");
  announce(settings, {
    ...listening,
    mailPort: catcher.port,
    smtpPort: catcher.smtpPort,
    adminEmail: authConfig(env).adminEmail,
    adminPassword,
  });
}

function kafkaEvents(brokers: string[], log: Log): Events {
  return createKafkaEvents({ brokers, log: log.with({ service: "broker" }), nowMs: () => performance.now() });
}

function redisLocks(address: RedisAddress, log: Log, random: Random): Locks {
  return createRedisLocks({ address, log, nowMs: () => performance.now(), newToken: random.id });
}

function load(env: Environment): Promise<Service[]> {
  return loadServices(SERVICE_NAMES, env).catch((error: unknown) => {
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

async function embeddedDatabase(
  dataDir: string,
  log: ReturnType<typeof createLog>,
  stops: (() => Promise<void>)[],
): Promise<string> {
  const server = await startEmbeddedPostgres({ dataDir, log: (line) => log.info("postgres", { line }) });
  stops.push(server.close);
  return server.url;
}

function appOf(services: Awaited<ReturnType<typeof startPlatform>>["services"], name: string) {
  const running = services.find((each) => each.name === name);
  if (!running) throw new Error(`${name} does not run`);
  return running.app;
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

/** `bun run` passes on the ^C that the terminal has sent to us already: signals this close together are one. */
const SAME_SIGNAL_MS = 1_000;

/** Ends the process after `stop`; a second signal ends it at once. PostgreSQL keeps what was committed either way. */
function onSignal(stop: (signal: string) => Promise<void>) {
  const { now } = systemClock();
  let stoppingSince: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stoppingSince !== undefined) {
        if (now().getTime() - stoppingSince > SAME_SIGNAL_MS) process.exit(1);
        return;
      }
      stoppingSince = now().getTime();
      stop(signal).then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
          process.exit(1);
        },
      );
    });
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

function sentence(error: unknown): StartError {
  return error instanceof StartError
    ? error
    : new StartError(`${error instanceof Error ? error.message : String(error)}.`, { cause: error });
}

/** It may hold a password, so a complaint does not repeat it. */
function databaseUrl(text: string | undefined): string | undefined {
  if (text && !/^postgres(ql)?:\/\/[^/?#]/.test(text))
    throw new Error("DATABASE_URL is not of the form postgres://user:password@host:port/database");
  return text || undefined;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0 || value > 1_000_000)
    throw new Error(`${name} must be a number above 0 and at most 1000000, found ${text}`);
  return value;
}

if (import.meta.main) await main(process.argv.slice(2));
