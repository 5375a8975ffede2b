/** At least so many are kept, and at most twice as many. */
const FACTS_KEPT = 1_000;
/** Larger ones are few. */
const BYTES_MAX = 4_096;

/** Where a fact is in an outbox or in a log. */
export interface Found {
  position: bigint;
  id: string;
}

interface Kept {
  id: string;
  body: Uint8Array;
}

/** The facts that this process wrote last, by their ids: what it finds of them, the database need not send back. */
export interface Recent<F extends Kept> {
  add(facts: F[]): void;
  /** The first of the facts that were found, whole and in their order: those that are known, or as `read` gives them when the very first is not. */
  first(found: Found[], read: (positions: bigint[]) => Promise<F[]>): Promise<F[]>;
}

export function createRecent<F extends Kept>(): Recent<F> {
  let young = new Map<string, F>();
  let old = new Map<string, F>();
  return {
    add(facts) {
      for (const fact of facts) {
        if (fact.body.byteLength > BYTES_MAX) continue;
        // Whole generations are forgotten: one by one would cost more than the facts are read for.
        if (young.size >= FACTS_KEPT) [young, old] = [new Map(), young];
        young.set(fact.id, fact);
      }
    },
    async first(found, read) {
      const known: F[] = [];
      for (const { id } of found) {
        const fact = young.get(id) ?? old.get(id);
        // It was written a moment ago, and will be known in another.
        if (!fact) break;
        known.push(fact);
      }
      if (known.length > 0 || found.length === 0) return known;
      const rows = new Map((await read(found.map(({ position }) => position))).map((fact) => [fact.id, fact]));
      return found.map(({ id, position }) => {
        const fact = rows.get(id);
        if (!fact) throw new Error(`expected fact ${id} at position ${position}, found none`);
        return fact;
      });
    },
  };
}
