import type { Inspection } from "../telemetry/inspection.ts";

/**
 * One at a time, and counters that expire.
 *
 * Promises: while nothing fails, of all callers of `tryLock` with one key one gets a token until it unlocks or the time is over;
 * only the token's owner can unlock; `take` lets through `burst` at once and `perSecond` on the average.
 * Does not promise: correctness. A lock can be lost with its server, so whatever must hold is held by a row in PostgreSQL; this is for speed.
 */
export interface Locks {
  /** A token, or null when another holds the key. */
  tryLock(key: string, ttlMs: number): Promise<string | null>;
  /** Compare and delete: false when the lock was no longer this token's. */
  unlock(key: string, token: string): Promise<boolean>;
  /** Takes one from the key's budget (GCRA). Never rejects: without its server an adapter counts alone, more strictly, and lets nothing through unasked. */
  take(key: string, budget: Budget): Promise<Verdict>;
  /** How what holds them is. Rejects when it cannot be asked. */
  inspect(): Promise<Inspection>;
  close(): Promise<void>;
}

export interface Budget {
  /** Tokens per second, above 0. */
  perSecond: number;
  /** How many may come at once, at least 1. */
  burst: number;
}

export interface Verdict {
  allowed: boolean;
  /** What could be taken at once after this. */
  remaining: number;
  /** Until one can be taken again; 0 when allowed. */
  retryAfterMs: number;
  /** Until the whole budget is there again. */
  resetAfterMs: number;
}
