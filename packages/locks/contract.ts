import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { eventually } from "../service/eventually.ts";
import type { Locks } from "./locks.ts";

/** What every adapter of the locks port owes. `skip` names tests an adapter cannot pass, with the reason. */
export function locksContract(name: string, open: () => Promise<Locks>, skip: Record<string, string> = {}): void {
  const check = (title: string, work: (locks: Locks, key: string) => Promise<void>) => {
    const reason = skip[title];
    const run = async () => {
      const locks = await open();
      await work(locks, `test:${randomUUID()}`);
      await locks.close();
    };
    if (reason) test.skip(`${name}: ${title} (${reason})`, run);
    else test(`${name}: ${title}`, run);
  };

  check("of a hundred callers one gets the lock", async (locks, key) => {
    const tokens = await Promise.all(Array.from({ length: 100 }, () => locks.tryLock(key, 5_000)));
    expect(tokens.filter((token) => token !== null)).toHaveLength(1);
  });

  check("only the owner's token unlocks", async (locks, key) => {
    const token = await locks.tryLock(key, 5_000);
    expect(await locks.unlock(key, "somebody else's")).toBe(false);
    expect(await locks.tryLock(key, 5_000)).toBeNull();
    expect(await locks.unlock(key, token ?? "")).toBe(true);
    expect(await locks.tryLock(key, 5_000)).not.toBeNull();
  });

  check("a lock ends by itself, and its late owner cannot take the next one's", async (locks, key) => {
    const late = await locks.tryLock(key, 30);
    let next: string | null = null;
    await eventually(async () => {
      next = await locks.tryLock(key, 5_000);
      return next !== null;
    });
    expect(await locks.unlock(key, late ?? "")).toBe(false);
    expect(await locks.unlock(key, next ?? "")).toBe(true);
  });

  check("a budget lets its burst through at once and then says when to come back", async (locks, key) => {
    const verdicts = await Promise.all(Array.from({ length: 25 }, () => locks.take(key, { perSecond: 1, burst: 20 })));
    const allowed = verdicts.filter((verdict) => verdict.allowed);
    expect(allowed).toHaveLength(20);
    expect(allowed.map(({ remaining }) => remaining).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    for (const refused of verdicts.filter((verdict) => !verdict.allowed)) {
      expect(refused.retryAfterMs).toBeGreaterThan(0);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(1_000);
      expect(refused.remaining).toBe(0);
    }
  });

  check("a budget refills with time, and a refusal costs nothing", async (locks, key) => {
    const budget = { perSecond: 50, burst: 1 };
    expect((await locks.take(key, budget)).allowed).toBe(true);
    let tries = 0;
    await eventually(async () => {
      tries += 1;
      return (await locks.take(key, budget)).allowed;
    });
    expect(tries).toBeGreaterThan(0);
  });

  check("keys do not share a budget", async (locks, key) => {
    const budget = { perSecond: 1, burst: 1 };
    expect((await locks.take(`${key}:a`, budget)).allowed).toBe(true);
    expect((await locks.take(`${key}:b`, budget)).allowed).toBe(true);
    expect((await locks.take(`${key}:a`, budget)).allowed).toBe(false);
  });
}
