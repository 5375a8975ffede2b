import type { RelayKind } from "../packages/database/relay.ts";
import { StartError } from "../packages/database/start-error.ts";
import { hostsOf, readDatabaseUrl } from "../packages/database/url.ts";
import { readKafkaSettings } from "../packages/events/kafka-brokers.ts";
import { readRabbitmqUrl } from "../packages/jobs/rabbitmq-url.ts";
import { readRedisUrl } from "../packages/locks/redis-url.ts";
import { withSecretFiles } from "../packages/service/secret-files.ts";
import type { Service } from "../packages/service/service.ts";
import { readInnerTls, readTls } from "../packages/service/tls.ts";
import { type Environment, readSecret, withoutCredentials } from "../packages/service/variables.ts";
import { readExporting } from "../packages/telemetry/otel-config.ts";
import { type Anchor, systemClock } from "../packages/time/clock.ts";
import { BROKER, loadServices, SERVICE_NAMES } from "./all.ts";
import { readConfig as gatewayConfig } from "./gateway/config.ts";
import { GATEWAY, keyVariable, readPublicKeys } from "./keys.ts";

export type Settings = Awaited<ReturnType<typeof readSettings>>;

/**
 * What a process is and what it stands on: the environment is read here and nowhere below. Throws StartError with a sentence that names the
 * variable or the argument.
 */
export async function readSettings(args: string[], given: Environment) {
  const runs = whatRuns(args);
  try {
    const env = withSecretFiles(given);
    const load = (made: Environment = {}) => loadServices(runs.services, completed(env, made));
    const services = await load();
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
      kafka: readKafkaSettings(env),
      rabbitmq: readRabbitmqUrl(env),
      redis: env["REDIS_URL"] ? readRedisUrl(env["REDIS_URL"]) : undefined,
      tls: readTls(env),
      innerTls: readInnerTls(env, systemClock().now()),
      exporting: readExporting(env),
      timeScale,
      relay,
      ...readApart(runs, services, env, timeScale),
      made: madeFor(services),
      /** The services of this process, configured; `made` has values for what is not set. */
      load,
    };
  } catch (error) {
    throw sentence(error);
  }
}

/** Everything in one process; or the edge alone; or some services without it; or a command that ends. */
export interface Runs {
  kind: "all" | "gateway" | "services" | "provision" | "secrets";
  services: string[];
  /** Of `secrets`. */
  folder?: string;
  /** Of `provision`: whose databases. */
  provisions?: string[];
}

function whatRuns(args: string[]): Runs {
  const names = args.length > 0 ? args : ["all"];
  if (names.length === 1 && names[0] === "all") return { kind: "all", services: SERVICE_NAMES };
  if (names[0] === "all" && names[1] === "without" && names.length > 2)
    return { kind: "all", services: allWithout(names.slice(2)) };
  if (names.length === 1 && names[0] === "gateway") return { kind: "gateway", services: [] };
  if (names[0] === "provision") return { kind: "provision", services: [], provisions: provisioned(names.slice(1)) };
  const [command, folder, ...more] = names;
  if (command === "secrets" && folder && more.length === 0) return { kind: "secrets", services: [], folder };
  return { kind: "services", services: named(names) };
}

/** Of all; where services have servers of their own, each server's are named, or what is not on it. */
function provisioned(names: string[]): string[] {
  if (names.length === 0) return [...SERVICE_NAMES, BROKER];
  return names[0] === "without" && names.length > 1 ? allWithout(names.slice(1)) : named(names);
}

/** What is left out hears nothing meanwhile, and everything when it runs again; what the others ask of it is refused. */
function allWithout(names: string[]): string[] {
  const left = named(names);
  return SERVICE_NAMES.filter((name) => !left.includes(name));
}

function named(names: string[]): string[] {
  const foreign = names.filter((name) => !SERVICE_NAMES.includes(name));
  if (foreign.length > 0) throw notToRun(foreign);
  return [...new Set(names)];
}

function notToRun(found: string[]): StartError {
  return new StartError(
    `A process runs "all", or "all without" some, or "gateway" alone, or "provision" for all or for some, or "secrets" with a folder, or some of ${SERVICE_NAMES.join(", ")}; found ${found.join(" ")}.`,
  );
}

const OF_NO_RUNNING_SERVICE =
  'CLUSTER_SECRET is for "provision" alone: whoever took one service over would be all of them with it. "bun services/main.ts secrets DIR" writes a key for each; give each process its own, such as ORDER_KEY_FILE, and PUBLIC_KEYS_FILE';

/** What processes apart must agree on, and what each alone is told; in one process it is made, and kept in DATA_DIR. */
function readApart({ kind }: Runs, services: Service[], env: Environment, timeScale: number) {
  const apart = kind === "services" || kind === "gateway";
  if (apart && env["CLUSTER_SECRET"]) throw new Error(OF_NO_RUNNING_SERVICE);
  const keys = kind === "services" ? keysOf(services, env) : kind === "gateway" ? [GATEWAY] : [];
  const needed = keys.map(keyVariable);
  if (kind === "services") needed.push("PUBLIC_KEYS", ...madeFor(services));
  if (kind === "provision") needed.push("CLUSTER_SECRET", "DATABASE_URL");
  if (kind === "services" && databasesOf(services, env).some((name) => !env[databaseVariable(name)]))
    needed.push("DATABASE_URL");
  if (apart && timeScale !== 1) needed.push("TIME_SCALE_SINCE");
  const missing = needed.filter((name) => !env[name]);
  if (missing.length > 0) throw new Error(`services apart need ${missing.join(" and ")}`);
  return {
    secret: readSecret(env, "CLUSTER_SECRET") ?? "",
    keys: Object.fromEntries(keys.map((name) => [name, readSecret(env, keyVariable(name)) ?? ""])),
    publicKeys: readPublicKeys(env["PUBLIC_KEYS"] || '{"keys":[]}'),
    anchor: anchorAt(env["TIME_SCALE_SINCE"] ?? ""),
    urls: Object.fromEntries(SERVICE_NAMES.map((name) => [name, serviceUrl(name, env)])),
  };
}

function madeFor(services: Service[]): string[] {
  return services.flatMap(({ made = [] }) => made);
}

/** An empty variable is an unset one. */
function completed(env: Environment, made: Environment): Environment {
  return { ...made, ...Object.fromEntries(Object.entries(env).filter(([, value]) => value)) };
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
  const scheme = env["INNER_TLS"] === "on" ? "https" : "http";
  const url = withoutCredentials(variable, env[variable] || `${scheme}://${name}:8080`);
  if (!URL.canParse(url) || !/^https?:\/\/[^/?#]+$/.test(url))
    throw new Error(`${variable} must be of the form ${scheme}://host:port, found ${url}`);
  if (scheme === "https" && !url.startsWith("https:"))
    throw new Error(`${variable} must begin with https:// where INNER_TLS is on, found ${url}`);
  return url;
}

/** Which databases a process uses: its services', and the broker's where that is embedded. */
function databasesOf(services: Service[], env: Environment): string[] {
  const embedded = !env["KAFKA_BROKERS"] || !env["RABBITMQ_URL"];
  return [...services.map(({ name }) => name), ...(embedded ? [BROKER] : [])];
}

/** A database that is there already has a password of its own; a service signs its tokens all the same. */
function keysOf(services: Service[], env: Environment): string[] {
  return databasesOf(services, env).filter((name) => name !== BROKER || !env[databaseVariable(BROKER)]);
}

export function databaseVariable(name: string): string {
  return `${name.toUpperCase()}_DATABASE_URL`;
}

function databaseUrls(env: Environment): Record<string, string> {
  const urls = [...SERVICE_NAMES, BROKER].map((name) => {
    const variable = databaseVariable(name);
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
