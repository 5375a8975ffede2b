// What two ways of carrying facts have made of the same facts, and what became of those that were written while something died.
import { brokenPromises, type Claim } from "../kit/claims.ts";

/** A message as it lies in Kafka. A header may come more than once. */
export interface Lying {
  partition: number;
  key: Buffer;
  value: Buffer;
  headers: Record<string, Buffer[]>;
}

/** Where two logs differ: of each key the messages in their order, and of each message every byte. The first difference of a key is told. */
export function differences(here: Lying[], there: Lying[]): string[] {
  const [mine, theirs] = [byKey(here), byKey(there)];
  const keys = new Set([...mine.keys(), ...theirs.keys()]);
  return [...keys].flatMap((key) => differenceOf(key, mine.get(key) ?? [], theirs.get(key) ?? []) ?? []);
}

function differenceOf(key: string, mine: Lying[], theirs: Lying[]): string | undefined {
  for (const [index, one] of mine.entries()) {
    const other = theirs[index];
    if (!other) break;
    const said = partsOf(other);
    for (const [part, found] of partsOf(one)) {
      if (said.get(part) !== found)
        return `${key} #${index}: ${part} is ${found}, there ${said.get(part) ?? "missing"}`;
      said.delete(part);
    }
    for (const [part, found] of said) return `${key} #${index}: ${part} is missing, there ${found}`;
  }
  return mine.length === theirs.length ? undefined : `${key}: ${mine.length} messages, there ${theirs.length}`;
}

/** Everything of a message, by name, as text that loses nothing. */
function partsOf({ partition, key, value, headers }: Lying): Map<string, string> {
  const parts = Object.entries(headers).map(([name, values]): [string, string] => [
    `header ${name}`,
    values.map((each) => JSON.stringify(each.toString("latin1"))).join(" and "),
  ]);
  return new Map([
    ["partition", String(partition)],
    ["key", key.toString("hex")],
    ["value", value.toString("hex")],
    ...parts,
  ]);
}

function byKey(log: Lying[]): Map<string, Lying[]> {
  return Map.groupBy(log, ({ key }) => key.toString("latin1"));
}

export interface Deliveries {
  acknowledged: number;
  read: number;
  duplicates: number;
  /** Acknowledged and nowhere in the log, or there only after a later one of its key. */
  broken: string[];
}

/** `acknowledged` and `read` are in order per key. */
export function countDeliveries(acknowledged: Claim[], read: Claim[]): Deliveries {
  const distinct = new Set(read.map(({ id }) => id)).size;
  const broken = brokenPromises(acknowledged, read);
  return { acknowledged: acknowledged.length, read: read.length, duplicates: read.length - distinct, broken };
}
