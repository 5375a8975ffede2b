/** For tests: a fact that a publisher says is published, or that a reader has read. */
export interface Claim {
  id: string;
  key: string;
}

/** What `publish` promised and the log does not hold: facts lost, and facts whose first delivery comes after that of a later one of their key. */
export function brokenPromises(acknowledged: Claim[], read: Claim[]): string[] {
  const firstPlaces = new Map<string, number>();
  for (const [place, { id }] of read.entries()) if (!firstPlaces.has(id)) firstPlaces.set(id, place);
  const lastOfKey = new Map<string, number>();
  return acknowledged.flatMap(({ id, key }) => {
    const place = firstPlaces.get(id);
    if (place === undefined) return [`${id} of ${key} is lost`];
    const before = lastOfKey.get(key) ?? -1;
    lastOfKey.set(key, Math.max(before, place));
    return place < before ? [`${id} of ${key} comes too early`] : [];
  });
}
