import type { DescService } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { AuthService, Role } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { openDatabase } from "../packages/database/database.ts";
import { migrate } from "../packages/database/migrate.ts";
import { provision } from "../packages/database/provision.ts";
import { createEmbeddedEvents } from "../packages/events/embedded.ts";
import type { Events } from "../packages/events/events.ts";
import { createEmbeddedJobs } from "../packages/jobs/embedded.ts";
import type { Jobs } from "../packages/jobs/jobs.ts";
import { createEmbeddedLocks } from "../packages/locks/embedded.ts";
import type { Locks } from "../packages/locks/locks.ts";
import type { Clock } from "../packages/service/clock.ts";
import type { Random } from "../packages/service/random.ts";
import { type Running, runService } from "../packages/service/runtime.ts";
import type { Service } from "../packages/service/service.ts";
import {
  createVerifier,
  generateServiceKey,
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
  /** A PostgreSQL user that may create roles and databases. */
  databaseUrl: string;
  /** Database and role names are this and the service's name: bodega_order. */
  databasePrefix: string;
  /** The passwords of the services' roles follow from it. */
  secret: string;
  relay: "wal" | "poll";
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

/** All services of one process, on the embedded adapters. */
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
  const { clock, securityClock, random, log, metrics, relay } = options;
  const nameOf = (service: string) => `${options.databasePrefix}_${service}`;
  const urls = await provision(options.databaseUrl, options.secret, [
    ...options.services.map(({ name }) => nameOf(name)),
    nameOf(BROKER),
  ]);
  const urlOf = (service: string) => urls.get(nameOf(service)) ?? "";
  const open = (service: string) => openDatabase(urlOf(service), service);

  const broker = open(BROKER);
  await migrate(broker, new URL("../packages/events/migrations/", import.meta.url));
  const events = options.events ?? createEmbeddedEvents(broker, log.with({ service: BROKER }), clock.now);
  const jobs = options.jobs ?? createEmbeddedJobs(broker, log.with({ service: BROKER }));
  const locks = options.locks ?? createEmbeddedLocks(() => performance.now(), random.id);

  const transports = new Map<string, Transport>();
  const transport = (service: DescService): Transport => {
    const found = transports.get(service.typeName);
    if (!found) throw new Error(`no service of this process answers ${service.typeName}`);
    return found;
  };
  const serviceKey = await generateServiceKey(random.id());
  const trusted = [serviceKey.publicJwk, ...(options.trustedKeys ?? [])];
  const verifier = createVerifier(
    async () => ({ keys: [...(await usersKeys(transports)), ...trusted] }),
    securityClock,
  );

  const services = await Promise.all(
    options.services.map(async (definition) => {
      const { name } = definition;
      const running = await runService(definition, {
        database: open(name),
        databaseUrl: urlOf(name),
        relay,
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
      await broker.close();
    },
  };
}

/** Users' tokens are signed by auth's keys. */
async function usersKeys(transports: Map<string, Transport>): Promise<JWK[]> {
  const auth = transports.get(AuthService.typeName);
  if (!auth) return [];
  const set: JSONWebKeySet = JSON.parse((await createClient(AuthService, auth).getSigningKeys({})).jwks);
  return set.keys;
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
