import type { FactEnvelope } from "../api/envelope.ts";

const FACTS_MAX = 2_000;
/** Larger ones are few. */
const BYTES_MAX = 4_096;

/** The facts that this process told last, by their ids: its own groups, which hear them at once, need not have them sent back by the database. */
export interface Recent {
  add(facts: FactEnvelope[]): void;
  of(id: string): FactEnvelope | undefined;
}

export function createRecent(): Recent {
  const kept = new Map<string, FactEnvelope>();
  return {
    of: (id) => kept.get(id),
    add(facts) {
      for (const fact of facts) if (fact.body.byteLength <= BYTES_MAX) kept.set(fact.id, fact);
      // Map keeps the order of insertion.
      for (const oldest of kept.keys()) {
        if (kept.size <= FACTS_MAX) break;
        kept.delete(oldest);
      }
    },
  };
}
