import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { eventually } from "../../tests/kit/eventually.ts";
import {
  NO_REDIS,
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from "../../tests/kit/servers/redis.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import { createLog, type Line } from "../telemetry/log.ts";
import { LOCKS_PROMISES, locksContract } from "./contract.ts";
import type { Locks } from "./locks.ts";
import { createRedisLocks } from "./redis.ts";
import { readRedisUrl } from "./redis-url.ts";

setDefaultTimeout(60_000);
/** Slow enough that nothing comes back during a test. */
const BUDGET = { perSecond: 0.001, burst: 20 };
const MINUTE = 60_000;

/** Tests that are not about slowness shall not fail by that of a busy machine. */
const PATIENT_MS = 10_000;

const withRedis = testUnless(NO_REDIS);

function open(url: string, options: { nowMs?: () => number; answerMs?: number } = { answerMs: PATIENT_MS }) {
  const lines: Line[] = [];
  const log = createLog((line) => lines.push(line));
  const nowMs = () => performance.now();
  return {
    locks: createRedisLocks({ address: readRedisUrl(url), log, nowMs, newToken: randomUUID, ...options }),
    lines,
  };
}

async function allowedOf(locks: Locks, key: string, times: number): Promise<number> {
  const verdicts = await Promise.all(Array.from({ length: times }, () => locks.take(key, BUDGET)));
  return verdicts.filter(({ allowed }) => allowed).length;
}

/** Not `expect(…).rejects`: while that waits, Bun runs no immediates, and the driver pipelines in one. */
async function refusalOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    (answer) => `answered ${answer}`,
    (error: Error) => error.message,
  );
}

async function tokenOf(locks: Locks, key: string): Promise<string | null> {
  try {
    return await locks.tryLock(key, MINUTE);
  } catch {
    return null;
  }
}

async function works(locks: Locks): Promise<boolean> {
  const key = randomUUID();
  const token = await tokenOf(locks, key);
  return token !== null && (await locks.unlock(key, token).catch(() => false));
}

describe("one Redis", () => {
  let server: RedisServer & { url: string };
  beforeAll(async () => {
    if (!NO_REDIS) server = await startRedis();
  });
  afterAll(() => server?.end());

  locksContract("redis", async () => open(server.url).locks, NO_REDIS);

  withRedis("an unlock that deletes whatever is there breaks the contract", async () => {
    const { locks } = open(server.url);
    const bare = { ...locks, unlock: async (key: string) => (await server.ask("del", `bodega:lock:${key}`)) === "1\n" };
    const promises = Object.values(LOCKS_PROMISES);
    const kept = await Promise.allSettled(promises.map((check) => check(bare, randomUUID())));
    expect(kept.filter(({ status }) => status === "rejected")).toHaveLength(2);
    await locks.close();
  });

  withRedis("two processes share locks and budgets", async () => {
    const [one, two] = [open(server.url).locks, open(server.url).locks];
    const token = await one.tryLock("shared", MINUTE);
    expect(await two.tryLock("shared", MINUTE)).toBeNull();
    expect((await allowedOf(one, "shared", 15)) + (await allowedOf(two, "shared", 15))).toBe(BUDGET.burst);
    expect(await two.unlock("shared", token ?? "")).toBe(true);
    await Promise.all([one.close(), two.close()]);
  });

  withRedis("nothing stays behind: locks and budgets have an end in Redis itself", async () => {
    const { locks } = open(server.url);
    await locks.tryLock("ends", 5_000);
    await locks.take("ends", { perSecond: 1, burst: 10 });
    for (const [key, most] of [
      ["bodega:lock:ends", 5_000],
      ["bodega:budget:ends", 1_002],
    ] as const) {
      const left = Number(await server.ask("pttl", key));
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(most);
    }
    await locks.close();
  });

  withRedis("a flush loses locks, whose owners learn it, and nothing else", async () => {
    const { locks, lines } = open(server.url);
    const lost = await locks.tryLock("flushed", MINUTE);
    expect(await allowedOf(locks, "flushed", 30)).toBe(BUDGET.burst);
    await server.ask("flushall");
    await server.ask("script", "flush");
    const next = await locks.tryLock("flushed", MINUTE);
    expect(next).not.toBeNull();
    expect(await locks.unlock("flushed", lost ?? "")).toBe(false);
    expect(await locks.unlock("flushed", next ?? "")).toBe(true);
    expect(await allowedOf(locks, "flushed", 30)).toBe(BUDGET.burst);
    expect(lines).toEqual([]);
    await locks.close();
  });

  withRedis("killed: calls are refused, budgets halved, and the same adapter works with it again", async () => {
    const { locks, lines } = open(server.url);
    expect(await works(locks)).toBe(true);
    await server.kill();
    expect(await refusalOf(locks.tryLock("killed", MINUTE))).toMatch(`Redis at 127.0.0.1:${server.port} failed`);
    expect(await refusalOf(locks.unlock("killed", "token"))).toMatch("failed");
    expect(await allowedOf(locks, "killed", 30)).toBe(BUDGET.burst / 2);
    expect(await allowedOf(locks, "killed", 30)).toBe(0);
    await server.start();
    await eventually(() => works(locks));
    expect(await allowedOf(locks, "killed", 30)).toBe(BUDGET.burst);
    const alone = lines.map(({ event }) => event).filter((event) => event.startsWith("limits."));
    expect(alone).toEqual(["limits.counting_alone", "limits.shared_again"]);
    await locks.close();
  });

  withRedis("frozen: one round of calls waits, the next are refused unasked, and a thaw mends it", async () => {
    let now = 0;
    const { locks } = open(server.url, { nowMs: () => now });
    await eventually(() => {
      now += 500;
      return works(locks);
    });
    server.freeze();
    const waiting = Array.from({ length: 50 }, () => locks.tryLock("frozen", MINUTE));
    for (const { status } of await Promise.allSettled(waiting)) expect(status).toBe("rejected");
    server.thaw();
    // Time stands still for the adapter: a Redis that answers again is not asked yet.
    expect(await refusalOf(locks.tryLock("frozen", MINUTE))).toMatch("timed out");
    expect(await allowedOf(locks, "frozen", 30)).toBe(BUDGET.burst / 2);
    await eventually(() => {
      now += 500;
      return works(locks);
    });
    await locks.close();
  });

  withRedis("frozen for long: it connects anew, and the lock it asked for last is nobody's", async () => {
    const { locks, lines } = open(server.url, {});
    await eventually(() => works(locks));
    server.freeze();
    expect(await refusalOf(locks.tryLock("late", MINUTE))).toMatch("timed out");
    await eventually(() =>
      lines.some(({ event, error }) => event === "redis.failed" && /Socket timeout/.test(`${error}`)),
    );
    server.thaw();
    await eventually(() => works(locks));
    await eventually(async () => (await tokenOf(locks, "late")) !== null);
    await locks.close();
  });

  withRedis("a Redis that answers with an error counts as gone", async () => {
    const { locks } = open(server.url);
    await server.ask("config", "set", "maxmemory", "1");
    expect(await refusalOf(locks.tryLock("full", MINUTE))).toMatch(/failed: OOM/);
    expect(await allowedOf(locks, "full", 30)).toBe(BUDGET.burst / 2);
    await server.ask("config", "set", "maxmemory", "0");
    await eventually(() => works(locks));
    await locks.close();
  });

  withRedis("a wrong password is told as such, and never shown", async () => {
    const guarded = await startRedis(["requirepass right"]);
    const right = open(guarded.url.replace("://", "://:right@")).locks;
    expect(await works(right)).toBe(true);
    for (const url of [guarded.url, guarded.url.replace("://", "://:wrong@")]) {
      const { locks, lines } = open(url);
      const reason = `Redis at 127.0.0.1:${guarded.port} refuses the user and password of REDIS_URL`;
      expect(await refusalOf(locks.tryLock("guarded", MINUTE))).toMatch(reason);
      await locks.take("guarded", BUDGET);
      expect(lines.find(({ event }) => event === "redis.failed")?.["error"]).toContain(reason);
      expect(JSON.stringify(lines)).not.toContain("wrong@");
      await locks.close();
    }
    await right.close();
    await guarded.end();
  });
});

describe("a Redis Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    if (!NO_REDIS) cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.end());

  locksContract("redis cluster", async () => open(cluster.url).locks, NO_REDIS);

  withRedis("keys of all nodes are locked and counted at once", async () => {
    const { locks, lines } = open(cluster.url);
    const keys = Array.from({ length: 200 }, (_, i) => `{tag ${i}} of a customer's own making`);
    const tokens = await Promise.all(keys.map((key) => locks.tryLock(key, MINUTE)));
    expect(new Set(tokens).size).toBe(keys.length);
    expect(tokens).not.toContain(null);
    const verdicts = await Promise.all(keys.map((key) => locks.take(key, BUDGET)));
    expect(verdicts.map(({ remaining }) => remaining)).toEqual(keys.map(() => BUDGET.burst - 1));
    const unlocked = await Promise.all(keys.map((key, i) => locks.unlock(key, tokens[i] ?? "")));
    expect(unlocked).not.toContain(false);
    expect(lines).toEqual([]);
    await locks.close();
  });

  withRedis("one node alone is told to be one", async () => {
    const { locks } = open(cluster.url.split(",")[0] ?? "");
    const calls = Array.from({ length: 20 }, (_, i) => locks.tryLock(`key ${i}`, MINUTE));
    const reasons = (await Promise.allSettled(calls)).flatMap((call) =>
      call.status === "rejected" ? [call.reason] : [],
    );
    expect(reasons.map(String)).toContainEqual(expect.stringContaining("one node of a Cluster: name several"));
    await locks.close();
  });

  withRedis("the death of a master: its keys fail, are counted alone, and recover with its replica", async () => {
    const { locks } = open(cluster.url, {});
    await eventually(() => works(locks));
    const master = await cluster.masterOf("bodega:lock:orphan");
    await master.kill();
    expect(await refusalOf(locks.tryLock("orphan", MINUTE))).toMatch(/Redis at .* failed/);
    expect((await locks.take("orphan", BUDGET)).allowed).toBe(true);
    let token: string | null = null;
    await eventually(async () => {
      token = await tokenOf(locks, "orphan");
      return token !== null;
    });
    await eventually(() => locks.unlock("orphan", token ?? "").catch(() => false));
    await master.start();
    await eventually(() => works(locks));
    await locks.close();
  });
});

test("where no Redis is: calls are refused, budgets are halved, and it is logged once a second", async () => {
  const { locks, lines } = open("redis://127.0.0.1:1", { nowMs: () => 0 });
  expect(await refusalOf(locks.tryLock("nowhere", MINUTE))).toMatch(/Redis at 127.0.0.1:1 failed: .*ECONNREFUSED/);
  expect(await allowedOf(locks, "nowhere", 30)).toBe(BUDGET.burst / 2);
  expect(lines.map(({ event }) => event)).toEqual(["redis.failed", "limits.counting_alone"]);
  await locks.close();
});

test("where no Cluster is: the same", async () => {
  const { locks, lines } = open("redis://127.0.0.1:1,redis://127.0.0.1:2", { nowMs: () => 0 });
  expect(await refusalOf(locks.tryLock("nowhere", MINUTE))).toMatch(/Redis at 127.0.0.1:1, 127.0.0.1:2 failed/);
  expect(await allowedOf(locks, "nowhere", 30)).toBe(BUDGET.burst / 2);
  expect(lines.filter(({ event }) => event === "redis.failed")).toHaveLength(1);
  await locks.close();
});
