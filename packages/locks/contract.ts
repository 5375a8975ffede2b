import { expect } from "bun:test";
import { randomUUID } from "node:crypto";
import { eventually } from "../../tests/kit/eventually.ts";
import { promisesOf, type Skip } from "../../tests/kit/promise.ts";
import type { Locks } from "./locks.ts";

/** What every adapter of the locks port owes. */
export const LOCKS_PROMISES: Record<string, (locks: Locks, key: string) => Promise<void>> = {
  "of a hundred callers one gets the lock": async (locks, key) => {
    const tokens = await Promise.all(Array.from({ length: 100 }, () => locks.tryLock(key, 5_000)));
    expect(tokens.filter((token) => token !== null)).toHaveLength(1);
  },

  "only the owner's token unlocks": async (locks, key) => {
    const token = await locks.tryLock(key, 5_000);
    expect(await locks.unlock(key, "somebody else's")).toBe(false);
    expect(await locks.tryLock(key, 5_000)).toBeNull();
    expect(await locks.unlock(key, token ?? "")).toBe(true);
    expect(await locks.tryLock(key, 5_000)).not.toBeNull();
  },

  "a lock ends by itself, and its late owner cannot take the next one's": async (locks, key) => {
    const late = await locks.tryLock(key, 30);
    let next: string | null = null;
    await eventually(async () => {
      next = await locks.tryLock(key, 5_000);
      return next !== null;
    });
    expect(await locks.unlock(key, late ?? "")).toBe(false);
    expect(await locks.unlock(key, next ?? "")).toBe(true);
  },

  "a budget lets its burst through at once and then says when to come back": async (locks, key) => {
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
  },

  "a budget refills with time, and a refusal costs nothing": async (locks, key) => {
    const budget = { perSecond: 50, burst: 1 };
    expect((await locks.take(key, budget)).allowed).toBe(true);
    let tries = 0;
    await eventually(async () => {
      tries += 1;
      return (await locks.take(key, budget)).allowed;
    });
    expect(tries).toBeGreaterThan(0);
  },

  "it says how it is, and nothing is wrong while it answers": async (locks, key) => {
    await locks.tryLock(key, 5_000);
    const { found, figures, troubles } = await locks.inspect();
    expect(found).not.toBe("");
    expect(JSON.parse(JSON.stringify(figures))).toHaveProperty("adapter");
    expect(troubles).toEqual([]);
  },

  "keys do not share a budget": async (locks, key) => {
    const budget = { perSecond: 1, burst: 1 };
    expect((await locks.take(`${key}:a`, budget)).allowed).toBe(true);
    expect((await locks.take(`${key}:b`, budget)).allowed).toBe(true);
    expect((await locks.take(`${key}:a`, budget)).allowed).toBe(false);
  },

  "a lock and a budget of one key do not meet": async (locks, key) => {
    const token = await locks.tryLock(key, 5_000);
    expect((await locks.take(key, { perSecond: 1, burst: 1 })).allowed).toBe(true);
    expect(await locks.tryLock(key, 5_000)).toBeNull();
    expect(await locks.unlock(key, token ?? "")).toBe(true);
    expect((await locks.take(key, { perSecond: 1, burst: 1 })).allowed).toBe(false);
  },
};

/** `skip` names promises an adapter cannot keep, or be asked for here, with the reason. */
export function locksContract(name: string, open: () => Promise<Locks>, skip?: Skip): void {
  const promise = promisesOf("locks", name, skip);
  for (const [title, check] of Object.entries(LOCKS_PROMISES))
    promise(title, async () => {
      const locks = await open();
      await check(locks, `test:${randomUUID()}`);
      await locks.close();
    });
}
