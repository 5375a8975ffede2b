import { counted } from "../telemetry/inspection.ts";
import type { Budget, Locks, Verdict } from "./locks.ts";

const SWEEP_EVERY = 10_000;
const ROUNDING_MS = 1e-6;

/** Locks and budgets of one process, in two maps. `nowMs` is real time in milliseconds. */
export function createEmbeddedLocks(nowMs: () => number, newToken: () => string): Locks {
  const held = new Map<string, { token: string; until: number }>();
  /** GCRA's theoretical arrival time by key: when the budget is whole again. */
  const arrivals = new Map<string, number>();
  let takes = 0;

  function sweep(now: number) {
    takes += 1;
    if (takes % SWEEP_EVERY !== 0) return;
    for (const [key, at] of arrivals) if (at <= now) arrivals.delete(key);
    for (const [key, lock] of held) if (lock.until <= now) held.delete(key);
  }

  return {
    async tryLock(key, ttlMs) {
      const now = nowMs();
      sweep(now);
      const other = held.get(key);
      if (other && other.until > now) return null;
      const token = newToken();
      held.set(key, { token, until: now + ttlMs });
      return token;
    },
    async unlock(key, token) {
      const lock = held.get(key);
      if (lock?.token !== token || lock.until <= nowMs()) return false;
      return held.delete(key);
    },
    async take(key, budget) {
      const now = nowMs();
      sweep(now);
      const { verdict, arrival } = gcra(now, arrivals.get(key) ?? now, budget);
      arrivals.set(key, arrival);
      return verdict;
    },
    async inspect() {
      const now = nowMs();
      const locks = [...held.values()].filter(({ until }) => until > now).length;
      const budgets = [...arrivals.values()].filter((at) => at > now).length;
      const found = `in this process alone, ${counted(locks, "lock")} held, ${counted(budgets, "budget")} in use`;
      return { found, figures: { adapter: "embedded", locks, budgets }, troubles: [] };
    },
    async close() {
      held.clear();
      arrivals.clear();
    },
  };
}

/** Generic cell rate algorithm: one number per key, exact, without windows. */
export function gcra(now: number, stored: number, { perSecond, burst }: Budget): { verdict: Verdict; arrival: number } {
  const interval = 1_000 / perSecond;
  const before = Math.max(stored, now);
  // Of differences: a sum with `now` and its difference again is not always `now`.
  const allowed = before - now <= interval * (burst - 1) + ROUNDING_MS;
  const arrival = allowed ? before + interval : before;
  return { verdict: verdictOf(allowed, arrival - now, interval, burst), arrival };
}

/** What a taker is told; `aheadMs` is how far the arrival time now lies ahead. */
export function verdictOf(allowed: boolean, aheadMs: number, intervalMs: number, burst: number): Verdict {
  return {
    allowed,
    remaining: allowed ? Math.floor(burst - aheadMs / intervalMs + 1e-9) : 0,
    retryAfterMs: allowed ? 0 : Math.max(1, Math.ceil(aheadMs - intervalMs * (burst - 1) - ROUNDING_MS)),
    resetAfterMs: Math.ceil(aheadMs - ROUNDING_MS),
  };
}
