import { COMMIT_CONNECTIONS, type Database, isOutage, type Sql, unlessDeadlocked } from "./database.ts";
import { gather } from "./gather.ts";
import { type Recorded, write } from "./story.ts";
import { arraysOf, type Row, selectOf, type Table, table } from "./table.ts";

/** The key that makes a recording happen once, and the answer it leaves. */
export interface OnceKey {
  bucket: number;
  caller: string;
  rpc: string;
  request_id: string;
  request_hash: Uint8Array;
  reply: Uint8Array;
  created_at: Date;
}

/** Commits recordings of many callers together, in one round trip. */
export interface Batcher {
  /** Resolves true when committed, false when the key was already taken and nothing was written. */
  commit(recorded: Recorded, key?: OnceKey): Promise<boolean>;
}

const BATCH_STORIES_MAX = 64;
const FLUSHERS = COMMIT_CONNECTIONS;

interface Story {
  recorded: Recorded;
  key: OnceKey | undefined;
}

/** Group commit: the stories that wait become one statement. Two of one key never share it: the second would not see that the first took the key. */
export function createBatcher({ commits, unlessSilent }: Pick<Database, "commits" | "unlessSilent">): Batcher {
  const commit = gather<Story, boolean>(
    (stories) => unlessDeadlocked(() => unlessSilent(() => writeStories(commits, stories))),
    {
      itemsMax: BATCH_STORIES_MAX,
      atOnce: FLUSHERS,
      isEverybodys: isOutage,
      keyOf: ({ key }) => key && `${key.caller} ${key.rpc} ${key.request_id}`,
    },
  );
  return { commit: (recorded, key) => commit({ recorded, key }) };
}

/** The keys of a group, each with the place of its story in it. */
const KEYS = table("idempotency", {
  story: "integer",
  bucket: "smallint",
  caller: "uuid",
  rpc: "text",
  request_id: "text",
  request_hash: "bytea",
  reply: "bytea",
  created_at: "timestamptz",
});

/** Writes the stories in one statement and says of each whether it was written. */
async function writeStories(sql: Sql, stories: Story[]): Promise<boolean[]> {
  const keys = stories.flatMap(({ key }, story) => (key ? [{ story, ...key }] : []));
  if (keys.length === 0) {
    await write(sql, new Map(Array.from(together(stories), ([into, { rows }]) => [into, rows])));
    return stories.map(() => true);
  }
  const keyless = stories.flatMap(({ key }, story) => (key ? [] : [story]));
  const parameters = [...arraysOf(KEYS, keys), numbers(keyless)];
  const inserts: string[] = [];
  for (const [into, { rows, from }] of together(stories)) {
    const { name, names } = into;
    inserts.push(
      `, i${inserts.length} as (insert into ${name} (${names}) select ${names} from (${selectOf(numbered(into), parameters.length + 1)}) as r join fresh using (story))`,
    );
    parameters.push(...arraysOf(into, rows), numbers(from));
  }
  const rows: { story: number }[] = await sql.unsafe(
    `with offered as materialized (
       ${selectOf(KEYS, 1)}
     ), taken as (
       insert into idempotency (bucket, caller, rpc, request_id, request_hash, reply, created_at)
       select bucket, caller, rpc, request_id, request_hash, reply, created_at from offered on conflict do nothing returning caller, rpc, request_id
     ), fresh as materialized (
       select story from offered join taken using (caller, rpc, request_id)
       union all select unnest($${KEYS.typed.length + 1}::int[])
     ) ${inserts.join("")}
     select story from fresh`,
    parameters,
    { prepare: true },
  );
  const fresh = new Set(rows.map(({ story }) => story));
  return stories.map((_, story) => fresh.has(story));
}

/** What the stories recorded, and of each row whose it is. */
function together(stories: Story[]): Map<Table, { rows: Row[]; from: number[] }> {
  const all = new Map<Table, { rows: Row[]; from: number[] }>();
  stories.forEach(({ recorded }, story) => {
    for (const [into, own] of recorded) {
      const group = all.get(into) ?? { rows: [], from: [] };
      for (const row of own) {
        group.rows.push(row);
        group.from.push(story);
      }
      all.set(into, group);
    }
  });
  return all;
}

/** The same rows, and after them whose they are. */
const numbered = ({ name, columns }: Table) => table(name, { ...columns, story: "integer" });

const numbers = (of: number[]) => `{${of.join()}}`;
