import type { SecureContextOptions } from "node:tls";
import { Cluster, Redis, type RedisOptions, ReplyError } from "ioredis";
import type { Inspection } from "../telemetry/inspection.ts";
import type { Log } from "../telemetry/log.ts";
import { backoffMs } from "../time/backoff.ts";
import { within } from "../time/wait.ts";
import { createBreaker } from "./breaker.ts";
import { createEmbeddedLocks, verdictOf } from "./embedded.ts";
import type { Budget, Locks, Verdict } from "./locks.ts";
import { inspectRedis } from "./redis-inspect.ts";
import type { RedisAddress } from "./redis-url.ts";

/** How long one command may take, connecting included. */
const ANSWER_MS = 200;
/** Added to it around everything the driver does: its own limit does not begin before it knows a Cluster's nodes. */
const GRACE_MS = 50;
/** How long a Redis that has failed is left alone. */
const REST_MS = 500;
/** A connection that owes an answer for so long is given up and made again. */
const SILENCE_MS = 1_000;
const RECONNECT = { firstMs: 50, mostMs: 500 };
const LOG_EVERY_MS = 1_000;
const INSPECT_MS = 2_000;
/** Of a budget, while this process counts alone. */
const SPARE_SHARE = 0.5;

// Every script has one key, so in a Cluster each runs on the key's own node and needs no hash tag. They are sent as text:
// a script known by its digest is gone after a flush or a failover, and Redis keeps the compiled text either way.
const UNLOCK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/** gcra() of embedded.ts in microseconds of Redis' own clock. ARGV: interval, interval × (burst - 1). */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
if before - now > ARGV[2] * 1 then return {0, before - now} end
local after = before + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1)
return {1, after - now}`;

export interface RedisLocksOptions {
  address: RedisAddress;
  /** For rediss://. */
  tls?: SecureContextOptions;
  log: Log;
  /** Real time in milliseconds. */
  nowMs: () => number;
  newToken: () => string;
  answerMs?: number;
}

/**
 * Locks and budgets of all processes, in Redis or a Redis Cluster. Connects at the first call and again by itself.
 * Without Redis `tryLock` and `unlock` reject, soon; `take` counts in this process, more strictly, and never rejects.
 */
export function createRedisLocks(options: RedisLocksOptions): Locks {
  const { address, tls = {}, log, nowMs, newToken, answerMs = ANSWER_MS } = options;
  const breaker = createBreaker(nowMs, REST_MS);
  const spare = createEmbeddedLocks(nowMs, newToken);
  let alone = false;
  let trouble: Error | undefined;
  let loggedAt = Number.NEGATIVE_INFINITY;

  const client = connect(address, tls, answerMs, (error) => {
    trouble = error;
    report(error);
  });

  function report(error: unknown) {
    if (nowMs() - loggedAt < LOG_EVERY_MS) return;
    loggedAt = nowMs();
    log.error("redis.failed", explained(error, address));
  }

  function ask<T>(command: () => Promise<T>): Promise<T> {
    return breaker(async () => {
      try {
        const answer = await within(answerMs + GRACE_MS, "no answer", command);
        trouble = undefined;
        return answer;
      } catch (error) {
        // What the server says is the best reason; of the driver's own, what went wrong with the connection.
        throw explained(error instanceof ReplyError ? error : (trouble ?? error), address);
      }
    });
  }

  const release = (key: string, token: string) => client.eval(UNLOCK, 1, lockKey(key), token);

  return {
    tryLock(key, ttlMs) {
      return ask(async () => {
        const token = newToken();
        try {
          return (await client.set(lockKey(key), token, "PX", ttlMs, "NX")) === "OK" ? token : null;
        } catch (error) {
          // A frozen Redis may still do what it was asked: sent after it, this gives back a lock nobody knows of.
          release(key, token).catch(report);
          throw error;
        }
      });
    },
    unlock: (key, token) => ask(async () => (await release(key, token)) === 1),
    async take(key, budget) {
      try {
        const verdict = await ask(() => takeShared(client, key, budget));
        if (alone) log.info("limits.shared_again");
        alone = false;
        return verdict;
      } catch (error) {
        if (!alone) log.error("limits.counting_alone", error);
        alone = true;
        return spare.take(key, smaller(budget));
      }
    },
    // Past the breaker: nobody waits for a lock here, and a slow answer is one.
    async inspect() {
      try {
        return await within(INSPECT_MS, "no answer", () => inspect(client));
      } catch (error) {
        throw explained(error instanceof ReplyError ? error : (trouble ?? error), address);
      }
    },
    async close() {
      client.disconnect();
      await spare.close();
    },
  };
}

/** What is used of both clients. */
interface Commands {
  set(key: string, token: string, unit: "PX", ttlMs: number, condition: "NX"): Promise<"OK" | null>;
  eval(script: string, keys: 1, key: string, ...values: (string | number)[]): Promise<unknown>;
  info(): Promise<string>;
  disconnect(): void;
}

function connect(
  { nodes, username, password, db, tls }: RedisAddress,
  authorities: SecureContextOptions,
  answerMs: number,
  failed: (error: Error) => void,
): Commands {
  const options = {
    username,
    password,
    commandTimeout: answerMs,
    connectTimeout: SILENCE_MS,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: 1,
    // A command that may have run must not run again: its lock would be taken, by itself.
    autoResendUnfulfilledCommands: false,
    // A primary that became a replica: its name may lead to the new one.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
    ...(tls && { tls: authorities }),
  } satisfies RedisOptions;
  const retry = (times: number) => backoffMs(times, RECONNECT);
  const [node] = nodes;
  if (nodes.length === 1 && node) {
    const redis = new Redis({
      ...node,
      ...options,
      db,
      lazyConnect: true,
      enableAutoPipelining: true,
      retryStrategy: retry,
    });
    return redis.on("error", failed);
  }
  const cluster = new Cluster(nodes, {
    redisOptions: options,
    lazyConnect: true,
    enableAutoPipelining: true,
    clusterRetryStrategy: retry,
    // Nor may the driver ask again later, when nobody waits any more; so it looks for a failed node's successor by itself.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: SILENCE_MS,
    slotsRefreshInterval: SILENCE_MS,
    // Certificates are for names: with TLS a node is called by its name, not by the address it has now.
    ...(tls && { dnsLookup: (name: string, found: (error: null, address: string) => void) => found(null, name) }),
  });
  return cluster.on("error", failed).on("node error", failed);
}

async function inspect(client: Commands): Promise<Inspection> {
  if (!(client instanceof Cluster)) return inspectRedis([await client.info()]);
  // A Cluster's nodes are known when one has answered, and connected to when first asked.
  const state = await client.cluster("INFO");
  const infos = await Promise.allSettled(client.nodes("all").map((node) => node.info().catch(() => node.info())));
  return inspectRedis(
    infos.map((info) => (info.status === "fulfilled" ? info.value : undefined)),
    state,
  );
}

async function takeShared(client: Commands, key: string, { perSecond, burst }: Budget): Promise<Verdict> {
  const interval = Math.max(1, Math.floor(1_000_000 / perSecond));
  // TAKE answers two integers.
  const [allowed, ahead] = (await client.eval(
    TAKE,
    1,
    `bodega:budget:${key}`,
    interval,
    interval * (burst - 1),
  )) as number[];
  if (ahead === undefined) throw new Error("expected two numbers of the script");
  return verdictOf(allowed === 1, ahead / 1_000, interval / 1_000, burst);
}

function lockKey(key: string): string {
  return `bodega:lock:${key}`;
}

function smaller({ perSecond, burst }: Budget): Budget {
  return { perSecond: perSecond * SPARE_SHARE, burst: Math.ceil(burst * SPARE_SHARE) };
}

function explained(error: unknown, { nodes }: RedisAddress): Error {
  const where = nodes.map(({ host, port }) => `${host}:${port}`).join(", ");
  const { message = "", code = "" } = error as { message?: string; code?: string };
  const said = message || code || String(error);
  if (/^(WRONGPASS|NOAUTH)|AUTH.*called without any password/.test(said))
    return new Error(`Redis at ${where} refuses the user and password of REDIS_URL: ${said}`, { cause: error });
  if (/^MOVED/.test(said))
    return new Error(`Redis at ${where} is one node of a Cluster: name several in REDIS_URL, by comma`, {
      cause: error,
    });
  return new Error(`Redis at ${where} failed: ${said}`, { cause: error });
}
