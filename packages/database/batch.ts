import { COMMIT_CONNECTIONS, type Database, isOutage, type Sql, unlessDeadlocked } from "./database.ts";
import { gather } from "./gather.ts";
import { json, type Recorded, type Row, write } from "./story.ts";

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

/** Writes the stories in one statement and says of each whether it was written. */
async function writeStories(sql: Sql, stories: Story[]): Promise<boolean[]> {
  const keys = stories.flatMap(({ key }, story) => (key ? [{ story, ...key }] : []));
  const tables = new Map<string, { table: string; columns: string[]; rows: Row[]; stories: number[] }>();
  stories.forEach(({ recorded }, story) => {
    for (const [statement, { table, columns, rows }] of recorded) {
      const group = tables.get(statement) ?? { table, columns, rows: [], stories: [] };
      for (const row of rows) {
        group.rows.push(row);
        group.stories.push(story);
      }
      tables.set(statement, group);
    }
  });
  if (keys.length === 0) {
    await write(sql, tables);
    return stories.map(() => true);
  }
  const keyless = stories.flatMap(({ key }, story) => (key ? [] : [story]));
  const parts = [...tables.values()];
  const inserts = parts.map(
    ({ table, columns }, index) =>
      `, i${index} as (insert into ${table} (${columns.join()}) select ${columns.map((column) => `r.${column}`).join()}
         from json_populate_recordset(null::${table}, $${2 * index + 3}::text::json) with ordinality r
         join fresh on fresh.story = ($${2 * index + 4}::int[])[r.ordinality])`,
  );
  const rows: { story: number }[] = await sql.unsafe(
    `with offered as materialized (
       select * from json_to_recordset($1::text::json) as x(story int, bucket smallint, caller uuid, rpc text, request_id text, request_hash bytea, reply bytea, created_at timestamptz)
     ), taken as (
       insert into idempotency (bucket, caller, rpc, request_id, request_hash, reply, created_at)
       select bucket, caller, rpc, request_id, request_hash, reply, created_at from offered on conflict do nothing returning caller, rpc, request_id
     ), fresh as materialized (
       select story from offered join taken using (caller, rpc, request_id)
       union all select unnest($2::int[])
     ) ${inserts.join("")}
     select story from fresh`,
    [json(keys), keyless, ...parts.flatMap(({ rows, stories }) => [json(rows), stories])],
    { prepare: true },
  );
  const fresh = new Set(rows.map(({ story }) => story));
  return stories.map((_, story) => fresh.has(story));
}
