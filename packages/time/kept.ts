/**
 * What `make` gives, made at most once in `ms`: whoever asks in between, or meanwhile, gets the same. A failure is not kept, nor what
 * was made at a time that has not come yet: a clock that was set back would keep it for hours.
 * For answers that cost a database something and that anybody may ask for.
 */
export function keptFor<T>(ms: number, nowMs: () => number, make: () => Promise<T>): () => Promise<T> {
  let kept: { madeAt: number; value: Promise<T> } | undefined;
  return () => {
    const now = nowMs();
    if (kept && now >= kept.madeAt && now < kept.madeAt + ms) return kept.value;
    const value = make();
    const mine = { madeAt: now, value };
    kept = mine;
    value.then(undefined, () => {
      if (kept === mine) kept = undefined;
    });
    return value;
  };
}
