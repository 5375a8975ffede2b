import type { RelayKind } from "../packages/database/relay.ts";
import { StartError } from "../packages/database/start-error.ts";
import { hostsOf, readDatabaseUrl } from "../packages/database/url.ts";
import { readKafkaBrokers } from "../packages/events/kafka-brokers.ts";
import { readRabbitmqUrl } from "../packages/jobs/rabbitmq-url.ts";
import { readRedisUrl } from "../packages/locks/redis-url.ts";
import type { Anchor } from "../packages/service/clock.ts";
import { readPort, readSecret } from "../packages/service/variables.ts";
import { type Environment, SERVICE_NAMES } from "./all.ts";
import { readConfig as gatewayConfig } from "./gateway/config.ts";

export type Settings = ReturnType<typeof readSettings>;

/** What a process is and what it stands on. Throws StartError with a sentence that names the variable or the argument. */
export function readSettings(args: string[], env: Environment) {
  const runs = whatRuns(args);
  try {
    const relay = relayKind(env);
    if (relay === "wal" && hostsOf(env["DATABASE_URL"] ?? "").length > 1)
      throw new Error("RELAY=wal reads the log of one server, but DATABASE_URL names several: use RELAY=poll");
    const timeScale = positive("TIME_SCALE", env["TIME_SCALE"] || "1");
    return {
      ...runs,
      gateway: gatewayConfig(env),
      dataDir: env["DATA_DIR"] || ".data",
      databaseUrl: databaseUrl("DATABASE_URL", env["DATABASE_URL"]),
      databaseUrls: databaseUrls(env),
      replicaUrls: replicaUrls(env["DATABASE_REPLICA_URLS"] ?? "", env["DATABASE_URL"]),
      kafka: env["KAFKA_BROKERS"] ? readKafkaBrokers(env["KAFKA_BROKERS"]) : undefined,
      rabbitmq: readRabbitmqUrl(env),
      redis: env["REDIS_URL"] ? readRedisUrl(env["REDIS_URL"]) : undefined,
      timeScale,
      mailPort: readPort(env, "MAIL_PORT", 8025),
      smtpPort: readPort(env, "SMTP_PORT", 1025),
      relay,
      ...readApart(runs, env, timeScale),
    };
  } catch (error) {
    throw sentence(error);
  }
}

/** Everything in one process; or the edge alone; or some services without it. */
export interface Runs {
  kind: "all" | "gateway" | "services";
  services: string[];
}

function whatRuns(args: string[]): Runs {
  const names = args.length > 0 ? args : ["all"];
  if (names.length === 1 && names[0] === "all") return { kind: "all", services: SERVICE_NAMES };
  if (names.length === 1 && names[0] === "gateway") return { kind: "gateway", services: [] };
  const foreign = names.filter((name) => !SERVICE_NAMES.includes(name));
  if (foreign.length === 0) return { kind: "services", services: [...new Set(names)] };
  throw new StartError(
    `A process runs "all", or "gateway" alone, or some of ${SERVICE_NAMES.join(", ")}; found ${foreign.join(" ")}.`,
  );
}

/** What processes apart must agree on; in one process it is made, and kept in DATA_DIR. */
function readApart({ kind, services }: Runs, env: Environment, timeScale: number) {
  const needed = kind === "services" ? ["CLUSTER_SECRET", "DATABASE_URL"] : [];
  if (services.includes("auth") && kind !== "all") needed.push("ADMIN_PASSWORD");
  if (kind !== "all" && timeScale !== 1) needed.push("TIME_SCALE_SINCE");
  const missing = needed.filter((name) => !env[name]);
  if (missing.length > 0) throw new Error(`services apart need ${missing.join(" and ")}`);
  return {
    secret: readSecret(env, "CLUSTER_SECRET") ?? "",
    anchor: anchorAt(env["TIME_SCALE_SINCE"] ?? ""),
    urls: Object.fromEntries(SERVICE_NAMES.map((name) => [name, serviceUrl(name, env)])),
  };
}

/** Scaled clocks agree when they started at one moment. */
function anchorAt(since: string): Anchor {
  const real = since ? Date.parse(since) : 0;
  if (Number.isNaN(real)) throw new Error(`TIME_SCALE_SINCE must be like 2026-01-31T08:00:00Z, found ${since}`);
  return { real, business: real };
}

/** Where a service answers: ORDER_URL, or the name that a container network gives it. */
function serviceUrl(name: string, env: Environment): string {
  const variable = `${name.toUpperCase()}_URL`;
  const url = env[variable] || `http://${name}:8080`;
  if (!URL.canParse(url) || !/^https?:\/\/[^/?#]+$/.test(url))
    throw new Error(`${variable} must be of the form http://host:port, found ${url}`);
  return url;
}

function databaseUrls(env: Environment): Record<string, string> {
  const urls = SERVICE_NAMES.map((name) => {
    const variable = `${name.toUpperCase()}_DATABASE_URL`;
    return [name, databaseUrl(variable, env[variable])] as const;
  });
  return Object.fromEntries(urls.flatMap(([name, url]) => (url ? [[name, url]] : [])));
}

function databaseUrl(name: string, url: string | undefined): string | undefined {
  return url ? readDatabaseUrl(name, url) : undefined;
}

/** By comma; each begins with its scheme, because one URL may have several hosts. */
function replicaUrls(text: string, primary: string | undefined): string[] {
  if (!text) return [];
  if (!primary) throw new Error("DATABASE_REPLICA_URLS needs DATABASE_URL, the primary that they are replicas of");
  return text.split(/,\s*(?=postgres)/).map((url) => readDatabaseUrl("DATABASE_REPLICA_URLS", url.trim()));
}

function relayKind(env: Environment): RelayKind {
  const relay = env["RELAY"] || "poll";
  if (relay !== "poll" && relay !== "wal" && relay !== "debezium")
    throw new Error(`RELAY must be poll, wal or debezium, found ${relay}`);
  if (relay === "debezium" && !env["KAFKA_BROKERS"])
    throw new Error(
      "RELAY=debezium needs KAFKA_BROKERS: Debezium writes to Kafka, where each service reads its own facts back",
    );
  return relay;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0 || value > 1_000_000)
    throw new Error(`${name} must be a number above 0 and at most 1000000, found ${text}`);
  return value;
}

export function sentence(error: unknown): StartError {
  return error instanceof StartError
    ? error
    : new StartError(`${error instanceof Error ? error.message : String(error)}.`, { cause: error });
}
