/** Business time. Everything with a date on it asks this clock; nothing else in business code may. */
export interface Clock {
  now(): Date;
  /** The business time that `ms` of a person's or a machine's time from now will be: for retries and leases, which do not scale. */
  soon(ms: number): Date;
  /** Resolves when business time has reached `at`, or `signal` aborts. */
  until(at: Date, signal: AbortSignal): Promise<void>;
}

const TIMER_MS_MAX = 2 ** 31 - 1;

/** Where a scaled clock started: at `real` the business time was `business`. */
export interface Anchor {
  real: number;
  business: number;
}

/** The machine's clock, `scale` times as fast since `anchor`. */
export function systemClock(scale = 1, anchor: Anchor = { real: 0, business: 0 }): Clock {
  const business = (real: number) => anchor.business + (real - anchor.real) * scale;
  const now = () => business(Date.now());
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

/** The work's result; rejects with `what` when that takes longer than `ms` of real time, and `deadline` aborts with the same error. */
export async function within<T>(ms: number, what: string, work: (deadline: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new Error(`${what} within ${ms} ms`);
    deadline.abort(error);
    reject(error);
  }, ms);
  return Promise.race([work(deadline.signal), over]).finally(() => clearTimeout(timer));
}

/** The answer, or undefined when it takes longer than `ms` of real time. */
export async function unlessLate<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
  const answered = new AbortController();
  try {
    return await Promise.race([answer, sleep(ms, answered.signal).then(() => undefined)]);
  } finally {
    answered.abort();
  }
}

/** Waits real time; ends early, without error, when `signal` aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(ms, TIMER_MS_MAX));
  const stop = () => {
    clearTimeout(timer);
    resolve();
  };
  signal?.addEventListener("abort", stop, { once: true });
  return promise.finally(() => signal?.removeEventListener("abort", stop));
}
