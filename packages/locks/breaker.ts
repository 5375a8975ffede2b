/**
 * Asks nobody twice in a row who has just failed: after a failure everything is refused at once for `restMs`, then one
 * call tries, and its outcome is everybody's. An outage so costs one caller in `restMs` its waiting, not every caller.
 */
export function createBreaker(nowMs: () => number, restMs: number): <T>(work: () => Promise<T>) => Promise<T> {
  let failure: { at: number; error: unknown } | undefined;
  let trying = false;
  return async (work) => {
    const isTry = failure !== undefined;
    if (failure) {
      if (trying || nowMs() - failure.at < restMs) throw failure.error;
      trying = true;
    }
    try {
      const result = await work();
      failure = undefined;
      return result;
    } catch (error) {
      failure = { at: nowMs(), error };
      throw error;
    } finally {
      if (isTry) trying = false;
    }
  };
}
