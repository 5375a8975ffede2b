import type { DescService } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { AuthService, Role } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { migrate } from "../packages/database/migrate.ts";
import { databaseOn, provision } from "../packages/database/provision.ts";
import type { RelayKind } from "../packages/database/relay.ts";
import { createEmbeddedEvents } from "../packages/events/embedded.ts";
import type { Events } from "../packages/events/events.ts";
import { createEmbeddedJobs } from "../packages/jobs/embedded.ts";
import type { Jobs } from "../packages/jobs/jobs.ts";
import { createEmbeddedLocks } from "../packages/locks/embedded.ts";
import type { Locks } from "../packages/locks/locks.ts";
import type { Clock } from "../packages/service/clock.ts";
import type { Random } from "../packages/service/random.ts";
import { openReplicas } from "../packages/service/replicas.ts";
import { type Running, runService } from "../packages/service/runtime.ts";
import type { Service } from "../packages/service/service.ts";
import {
  createVerifier,
  deriveServiceKey,
  type JSONWebKeySet,
  type JWK,
  type SigningKey,
  signToken,
  type Verifier,
} from "../packages/service/tokens.ts";
import type { Log } from "../packages/telemetry/log.ts";
import type { Metrics } from "../packages/telemetry/metrics.ts";

export interface PlatformOptions {
  services: Service[];
  /** Reaches the services of other processes; left out where there are none. */
  elsewhere?: (service: DescService) => Transport;
  /** A PostgreSQL user that may create roles and databases. */
  databaseUrl: string;
  /** Copies of the server of `databaseUrl` that follow it. */
  replicaUrls?: string[];
  /** Databases that are there already, by service: used as they are. */
  databaseUrls?: Record<string, string>;
  /** Database and role names are this and the service's name: bodega_order. */
  databasePrefix: string;
  /** The passwords of the services' roles follow from it, and the key that services sign their tokens with: all processes share it. */
  secret: string;
  relay: RelayKind;
  /** How often to look for what other processes have written; left out, often. */
  pollMs?: number;
  clock: Clock;
  /** Tokens, codes and sessions live in real time, whatever the scale of business time. */
  securityClock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Real adapters, instead of the embedded ones; the platform closes them. */
  events?: Events;
  jobs?: Jobs;
  locks?: Locks;
  /** Public keys whose users' tokens are accepted besides auth's own. */
  trustedKeys?: JWK[];
}

/** The services of one process, and what they run on. */
export interface Platform {
  services: Running[];
  verifier: Verifier;
  events: Events;
  jobs: Jobs;
  locks: Locks;
  close(): Promise<void>;
}

const BROKER = "broker";

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { clock, securityClock, random, log, metrics, relay, pollMs } = options;
  const urlOf = await databases(options);
  const replicasOf = (service: string, { sql }: Database) => {
    const { replicaUrls = [], databaseUrls = {}, secret } = options;
    if (replicaUrls.length === 0 || databaseUrls[service]) return {};
    const urls = replicaUrls.map((url) => databaseOn(url, secret, nameOf(options, service)));
    return { replicas: openReplicas(urls, service, sql, () => performance.now()) };
  };
  const open = (service: string) => openDatabase(urlOf(service), service);
  const brokerLog = log.with({ service: BROKER });
  const broker = needsBroker(options) ? open(BROKER) : undefined;
  if (broker) await migrate(broker, new URL("../packages/events/migrations/", import.meta.url));
  const events = options.events ?? createEmbeddedEvents(there(broker), brokerLog, clock.now, pollMs);
  const jobs = options.jobs ?? createEmbeddedJobs(there(broker), brokerLog, pollMs);
  const locks = options.locks ?? createEmbeddedLocks(() => performance.now(), random.id);

  const transports = new Map<string, Transport>();
  const find = (service: DescService) => transports.get(service.typeName) ?? options.elsewhere?.(service);
  const transport = (service: DescService): Transport => {
    const found = find(service);
    if (!found) throw new Error(`no service of this process answers ${service.typeName}`);
    return found;
  };
  const serviceKey = await deriveServiceKey(options.secret);
  const trusted = [serviceKey.publicJwk, ...(options.trustedKeys ?? [])];
  const verifier = createVerifier(async () => {
    const auth = find(AuthService);
    return { keys: [...(auth ? await usersKeys(auth) : []), ...trusted] };
  }, securityClock);

  const services = await Promise.all(
    options.services.map(async (definition) => {
      const { name } = definition;
      const database = open(name);
      const running = await runService(definition, {
        database,
        ...replicasOf(name, database),
        databaseUrl: urlOf(name),
        relay,
        ...(pollMs && { pollMs }),
        events,
        jobs,
        locks,
        clock: name === "auth" ? securityClock : clock,
        random,
        log,
        metrics,
        verifier,
        transport,
        serviceToken: tokenSource(serviceKey, name, securityClock, random),
      });
      for (const { service } of definition.answers) transports.set(service.typeName, running.transport);
      return running;
    }),
  );
  for (const running of services) await running.react();

  return {
    services,
    verifier,
    events,
    jobs,
    locks,
    async close() {
      await Promise.all(services.map((running) => running.close()));
      await Promise.all([events.close(), jobs.close(), locks.close()]);
      await broker?.close();
    },
  };
}

/** Users' tokens are signed by auth's keys. */
export async function usersKeys(auth: Transport): Promise<JWK[]> {
  const set: JSONWebKeySet = JSON.parse((await createClient(AuthService, auth).getSigningKeys({})).jwks);
  return set.keys;
}

function needsBroker({ events, jobs }: PlatformOptions): boolean {
  return !events || !jobs;
}

/** Where each database of this process is; made on the server of `databaseUrl` unless the service has one of its own. */
async function databases(options: PlatformOptions): Promise<(service: string) => string> {
  const { databaseUrl, databaseUrls = {}, secret } = options;
  const wanted = [...options.services.map(({ name }) => name), ...(needsBroker(options) ? [BROKER] : [])];
  const made = await provision(
    databaseUrl,
    secret,
    wanted.filter((name) => !databaseUrls[name]).map((name) => nameOf(options, name)),
  );
  return (service) => databaseUrls[service] ?? there(made.get(nameOf(options, service)));
}

function nameOf({ databasePrefix }: PlatformOptions, service: string): string {
  return `${databasePrefix}_${service}`;
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a database, found none");
  return value;
}

const TOKEN_REUSED_MS = 5 * 60_000;

/** A service's own token, made again when half of its life is over. */
function tokenSource(key: SigningKey, service: string, clock: Clock, random: Random): () => Promise<string> {
  let token: Promise<string> | undefined;
  let madeAt = 0;
  return () => {
    const now = clock.now();
    if (!token || now.getTime() - madeAt > TOKEN_REUSED_MS) {
      madeAt = now.getTime();
      token = signToken(key, { userId: `service:${service}`, roles: [Role.SERVICE], tokenId: random.id() }, now).then(
        (signed) => signed.token,
      );
    }
    return token;
  };
}
