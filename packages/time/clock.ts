import { sleep } from "./wait.ts";

/** Business time. Everything with a date on it asks this clock; nothing else in business code may. */
export interface Clock {
  now(): Date;
  /** The business time that `ms` of a person's or a machine's time from now will be: for retries and leases, which do not scale. */
  soon(ms: number): Date;
  /** Resolves when business time has reached `at`, or `signal` aborts. */
  until(at: Date, signal: AbortSignal): Promise<void>;
}

/** Where a scaled clock started: at `real` the business time was `business`. */
export interface Anchor {
  real: number;
  business: number;
}

/** Real time, `scale` times as fast since `anchor`; by the machine's clock unless `realMs` tells another. */
export function systemClock(
  scale = 1,
  anchor: Anchor = { real: 0, business: 0 },
  realMs: () => number = () => Date.now(),
): Clock {
  const business = (real: number) => anchor.business + (real - anchor.real) * scale;
  const now = () => business(realMs());
  return {
    now: () => new Date(now()),
    soon: (ms) => new Date(now() + ms * scale),
    until: (at, signal) => sleep((at.getTime() - now()) / scale, signal),
  };
}

/** A clock that a test moves by hand: a day passes in a millisecond. */
export interface DrivenClock extends Clock {
  advance(ms: number): void;
}

export function drivenClock(start: Date): DrivenClock {
  let now = start.getTime();
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => new Date(now),
    soon: (ms) => new Date(now + ms),
    until(at, signal) {
      if (at.getTime() <= now || signal.aborted) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      const sleeper = { at: at.getTime(), wake: resolve };
      sleepers.add(sleeper);
      signal.addEventListener("abort", () => resolve(), { once: true });
      return promise.finally(() => sleepers.delete(sleeper));
    },
    advance(ms) {
      now += ms;
      for (const sleeper of sleepers) if (sleeper.at <= now) sleeper.wake();
    },
  };
}
