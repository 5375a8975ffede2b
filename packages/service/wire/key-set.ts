/** A key set older than this is asked for again, while the one at hand still serves. */
const FRESH_MS = 30_000;
/** And one older than this before anything is verified with it: so long a key lives on after it was revoked. */
const AGE_MAX_MS = 60_000;
/** Between two requests for the key set because of a key id that nobody knows, or after one that failed. */
const REFETCH_MS = 5_000;

/** Auth's keys as far as they are known here: a minute old at most; while auth cannot be asked, `staleMaxMs`. */
export function createKeySet<Key extends { kid?: string }>(
  fetchKeys: () => Promise<Key[]>,
  nowMs: () => number,
  staleMaxMs: number,
) {
  let keys: Key[] = [];
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;
  const age = () => nowMs() - fetchedAt;

  function ask(): Promise<void> {
    askedAt = nowMs();
    const asked = askedAt;
    fetching ??= fetchKeys()
      .then((found) => {
        keys = found;
        // From when it was asked: what was revoked since may not be in the answer.
        fetchedAt = asked;
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  }

  /** Asks when it is time to. Rejects when the set is too old to go by and auth cannot be asked. */
  async function refresh(): Promise<void> {
    if (age() <= FRESH_MS) return;
    const asking = fetching ?? (nowMs() - askedAt > REFETCH_MS || age() > staleMaxMs ? ask() : undefined);
    // Whoever waits is told what went wrong; where nobody waits the set at hand serves.
    const settled = asking?.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (age() <= AGE_MAX_MS) return;
    const failure = await settled;
    if (failure && age() > staleMaxMs) throw failure.error;
  }

  return {
    held: () => keys,
    refresh,
    /** A key id that is not held may be a new key's. */
    async expect(kid: string): Promise<void> {
      await refresh();
      if (keys.some((key) => key.kid === kid)) return;
      if (fetching) await fetching;
      else if (nowMs() - askedAt > REFETCH_MS) await ask();
    },
  };
}
