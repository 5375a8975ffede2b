import type { DescService } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { AuthService, Role } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { databaseOn, keyOf, provision, relayOn } from "../packages/database/provision.ts";
import type { RelayKind } from "../packages/database/relay.ts";
import { openReplicas } from "../packages/database/replicas.ts";
import { openServerTime } from "../packages/database/server-time.ts";
import { isNotReady, messageOf } from "../packages/database/start-error.ts";
import { BROKER_KEEPS } from "../packages/events/forget.ts";
import type { Verifier } from "../packages/service/caller.ts";
import { checkRepeats } from "../packages/service/engine/repeats.ts";
import { type Running, runService } from "../packages/service/engine/runtime.ts";
import { showSizes } from "../packages/service/engine/table-sizes.ts";
import type { Service } from "../packages/service/service.ts";
import {
  createVerifier,
  deriveServiceKey,
  type JSONWebKeySet,
  type JWK,
  type SigningKey,
  signToken,
} from "../packages/service/wire/tokens.ts";
import type { Parts } from "../packages/telemetry/inspection.ts";
import type { Log } from "../packages/telemetry/log.ts";
import type { Metrics } from "../packages/telemetry/metrics.ts";
import { backoffMs, SOON } from "../packages/time/backoff.ts";
import type { Clock } from "../packages/time/clock.ts";
import type { FollowedTime } from "../packages/time/followed.ts";
import type { Random } from "../packages/time/random.ts";
import { sleep } from "../packages/time/wait.ts";
import { BROKER } from "./all.ts";
import { type Carriers, embedMissing, needBroker } from "./carriers.ts";
import { partsOf } from "./parts.ts";

/** Nobody else writes into databases that only this process has, and who writes in this process rings. Looking more often costs a quarter of a processor. */
export const PRIVATE_POLL_MS = 1_000;

/** Carriers that are given take the place of the embedded ones; the platform closes them. */
export interface PlatformOptions extends Partial<Carriers> {
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
  /** What the services' keys follow from, and their databases are made with: where all of them run in this process. */
  secret?: string;
  /** In place of it, where they do not: what this process knows. */
  keys?: Keys;
  relay: RelayKind;
  /** How often to look for what other processes have written; left out, often. */
  pollMs?: number;
  clock: Clock;
  /** Behind the clocks: made to follow the server of the first service's database. */
  time?: FollowedTime;
  /** Tokens, codes and sessions live in real time, whatever the scale of business time. */
  securityClock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Public keys whose users' tokens are accepted besides auth's own. */
  trustedKeys?: JWK[];
  /** Aborts when this process is to end: then nothing is waited for. */
  ending?: AbortSignal;
}

/** A service's key is what its password and its signing key follow from: from one of them follows nothing of another. */
export interface Keys {
  /** Of the services of this process, by name. */
  own: Record<string, string>;
  /** The public halves of all services. */
  services: JWK[];
}

/** The services of one process, and what they run on. */
export interface Platform extends Carriers {
  services: Running[];
  verifier: Verifier;
  parts: Parts;
  close(): Promise<void>;
}

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { clock, securityClock, random, log, metrics, relay, pollMs } = options;
  const { urlOf, relayUrlOf } = await databases(options);
  const replicasOf = (service: string, { sql }: Database) => {
    const { replicaUrls = [], databaseUrls = {} } = options;
    if (replicaUrls.length === 0 || databaseUrls[service]) return {};
    const urls = replicaUrls.map((url) => databaseOn(url, keyFor(options, service), nameOf(options, service)));
    return { replicas: openReplicas(urls, service, sql, () => performance.now()) };
  };
  const open = (service: string) => openDatabase(urlOf(service), service);
  const [first] = options.services;
  const unfollow = first && options.time && (await followServer(options.time, urlOf(first.name), options));
  const broker = needBroker(options) ? open(BROKER) : undefined;
  const { events, jobs, locks } = await embedMissing(options, broker);
  if (broker)
    showSizes({ service: BROKER, sql: broker.sql, metrics, log: log.with({ service: BROKER }) }, BROKER_KEEPS);

  const transports = new Map<string, Transport>();
  const find = (service: DescService) => transports.get(service.typeName) ?? options.elsewhere?.(service);
  const transport = (service: DescService): Transport => {
    const found = find(service);
    if (!found) throw new Error(`no service of this process answers ${service.typeName}`);
    return found;
  };
  const signing = await signingKeys(options);
  const own = Array.from(signing.values(), ({ publicJwk }) => publicJwk);
  const trusted = [...(options.keys?.services ?? own), ...(options.trustedKeys ?? [])];
  const verifier = createVerifier(
    async () => {
      const auth = find(AuthService);
      return { keys: auth ? await usersKeys(auth) : [] };
    },
    securityClock,
    { trusted },
  );

  const opened = options.services.map((definition) => {
    const database = open(definition.name);
    return { definition, database, ...replicasOf(definition.name, database) };
  });
  const services = await Promise.all(
    opened.map(async ({ definition, database, replicas }) => {
      const { name } = definition;
      const running = await runService(definition, {
        database,
        ...(replicas && { replicas }),
        relayUrl: relayUrlOf(name),
        relay,
        ...(pollMs && { pollMs }),
        events,
        jobs,
        locks,
        clock: definition.realTime ? securityClock : clock,
        random,
        log,
        metrics,
        verifier,
        transport,
        serviceToken: tokenSource(there(signing.get(name)), name, securityClock, random),
      });
      for (const { service } of definition.answers) transports.set(service.typeName, running.transport);
      return running;
    }),
  );
  for (const running of services) await running.react();
  const closing = new AbortController();
  const checked = checkRepeats(events, { log: log.with({ service: BROKER }), metrics, closing: closing.signal });

  return {
    services,
    verifier,
    events,
    jobs,
    locks,
    parts: partsOf({
      databases: opened.map(({ definition: { name }, database: { sql } }) => ({ name, sql })),
      replicas: opened[0]?.replicas,
      events,
      jobs,
      locks,
    }),
    async close() {
      closing.abort();
      await Promise.all(services.map((running) => running.close()));
      await Promise.all([events.close(), jobs.close(), locks.close(), checked]);
      await broker?.close();
      await unfollow?.();
    },
  };
}

/** Nothing goes on without the time: a busy server is waited for. */
const FIRST_TIME_MS_MAX = 30_000;
/** To start again costs a processor more than to wait, just when all that are to be waited for want it. */
const READY_MS_MAX = 30_000;

/** Returns what ends it. */
async function followServer(time: FollowedTime, url: string, options: PlatformOptions): Promise<() => Promise<void>> {
  const server = openServerTime(url);
  const close = async () => {
    await time.close();
    await server.close();
  };
  try {
    // Who has the secret has just made it ready itself.
    if (options.secret === undefined) await untilReady(server.ask, options);
    await time.follow(server.ask, FIRST_TIME_MS_MAX);
  } catch (error) {
    await close();
    throw error;
  }
  return close;
}

/** A database that others make ready; rejects with what it answered last. */
async function untilReady(ask: () => Promise<unknown>, { log, ending }: PlatformOptions): Promise<void> {
  const late = AbortSignal.timeout(READY_MS_MAX);
  const over = ending ? AbortSignal.any([ending, late]) : late;
  for (let failures = 1; ; failures++) {
    try {
      await ask();
      return;
    } catch (error) {
      if (over.aborted || !isNotReady(error)) throw error;
      if (failures === 1) log.info("database.awaited", { message: messageOf(error), seconds: READY_MS_MAX / 1_000 });
      await sleep(backoffMs(failures, SOON), over);
    }
  }
}

/** Users' tokens are signed by auth's keys. */
export async function usersKeys(auth: Transport): Promise<JWK[]> {
  const set: JSONWebKeySet = JSON.parse((await createClient(AuthService, auth).getSigningKeys({})).jwks);
  return set.keys;
}

/** Where each database of this process is; made on the server of `databaseUrl`, where the secret is, unless the service has one of its own. */
async function databases(options: PlatformOptions) {
  const { databaseUrl, databaseUrls = {}, secret, relay } = options;
  const by = (locate: typeof databaseOn) => (service: string) =>
    databaseUrls[service] ?? locate(databaseUrl, keyFor(options, service), nameOf(options, service));
  // Who gives a service a database of its own gives its user what the relay needs.
  const found = { urlOf: by(databaseOn), relayUrlOf: by(relayOn) };
  if (secret === undefined) return found;
  const wanted = [...options.services.map(({ name }) => name), ...(needBroker(options) ? [BROKER] : [])];
  const names = wanted.filter((name) => !databaseUrls[name]).map((name) => nameOf(options, name));
  await provision(databaseUrl, { secret, names, relay });
  return found;
}

function keyFor(options: PlatformOptions, service: string): string {
  const { secret, keys } = options;
  return secret === undefined ? there(keys?.own[service]) : keyOf(secret, nameOf(options, service));
}

/** What each service of this process signs its tokens with. */
async function signingKeys(options: PlatformOptions): Promise<Map<string, SigningKey>> {
  const derive = async ({ name }: Service) => [name, await deriveServiceKey(keyFor(options, name), name)] as const;
  return new Map(await Promise.all(options.services.map(derive)));
}

function nameOf({ databasePrefix }: PlatformOptions, service: string): string {
  return `${databasePrefix}_${service}`;
}

function there<T>(key: T | undefined): T {
  if (key === undefined) throw new Error("expected the key of a service, found none");
  return key;
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
