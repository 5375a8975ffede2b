const TIMER_MS_MAX = 2 ** 31 - 1;

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
