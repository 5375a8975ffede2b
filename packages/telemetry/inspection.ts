/** How a part that the shop stands on is, as its adapter tells it. Whoever operates reads it: nothing of it is secret. */
export interface Inspection {
  /** In a line, such as "Kafka, 3 brokers, 12 topics". */
  found: string;
  /** The same and more for programs: what JSON can hold. */
  figures: Record<string, unknown>;
  /** What is not in order. */
  troubles: Trouble[];
}

export interface Trouble {
  says: string;
  /** What to do: a sentence, with a command or a page. */
  fix: string;
}

/** By the name of each part. */
export type Parts = Record<string, () => Promise<Inspection>>;

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export function sized(bytes: number): string {
  return bytes < GIB ? `${(bytes / MIB).toFixed(1)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`;
}
