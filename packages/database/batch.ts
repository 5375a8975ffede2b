import type { Sql } from "./database.ts";
import { gather } from "./gather.ts";
import { jsonRow, type Recorded, type Row, write } from "./story.ts";

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
const FLUSHERS = 2;

interface Story {
  recorded: Recorded;
  key: OnceKey | undefined;
}

/** Group commit: the stories that wait become one statement. Two of one key never share it: the second would not see that the first took the key. */
export function createBatcher(sql: Sql): Batcher {
  const commit = gather<Story, boolean>((stories) => writeStories(sql, stories), {
    itemsMax: BATCH_STORIES_MAX,
    atOnce: FLUSHERS,
    keyOf: ({ key }) => key && `${key.caller} ${key.rpc} ${key.request_id}`,
  });
  return { commit: (recorded, key) => commit({ recorded, key }) };
}

/** Writes the stories in one statement and says of each whether it was written. */
async function writeStories(sql: Sql, stories: Story[]): Promise<boolean[]> {
  const groups = new Map<string, { table: string; columns: string[]; rows: { story: number; row: Row }[] }>();
  const keys: Row[] = [];
  const keyless: number[] = [];
  stories.forEach(({ recorded, key }, story) => {
    if (key) keys.push({ story, ...jsonRow({ ...key }) });
    else keyless.push(story);
    for (const [statement, { table, columns, rows }] of recorded) {
      const group = groups.get(statement) ?? { table, columns, rows: [] };
      for (const row of rows) group.rows.push({ story, row: jsonRow(row) });
      groups.set(statement, group);
    }
  });
  if (keys.length === 0) {
    await write(sql, merged(groups));
    return stories.map(() => true);
  }
  const parts = [...groups.values()];
  const inserts = parts.map(
    ({ table, columns }, index) =>
      `, i${index} as (insert into ${table} (${columns.join()}) select ${columns.map((column) => `r.${column}`).join()}
         from json_to_recordset($${index + 3}::text::json) as x(story int, row json) join fresh using (story), json_populate_record(null::${table}, x.row) r)`,
  );
  const rows: { story: number }[] = await sql.unsafe(
    `with offered as materialized (
       select * from json_to_recordset($1::text::json) as x(story int, bucket smallint, caller uuid, rpc text, request_id text, request_hash bytea, reply bytea, created_at timestamptz)
     ), taken as (
       insert into idempotency (bucket, caller, rpc, request_id, request_hash, reply, created_at)
       select bucket, caller, rpc, request_id, request_hash, reply, created_at from offered on conflict do nothing returning caller, rpc, request_id
     ), fresh as materialized (
       select story from offered join taken using (caller, rpc, request_id)
       union all select value::int from json_array_elements_text($2::text::json) as k(value)
     ) ${inserts.join("")}
     select story from fresh`,
    [JSON.stringify(keys), JSON.stringify(keyless), ...parts.map((part) => JSON.stringify(part.rows))],
    { prepare: true },
  );
  const fresh = new Set(rows.map((row) => row.story));
  return stories.map((_, story) => fresh.has(story));
}

function merged(groups: Map<string, { table: string; columns: string[]; rows: { row: Row }[] }>): Recorded {
  return new Map(
    [...groups].map(([statement, { table, columns, rows }]) => [
      statement,
      { table, columns, rows: rows.map(({ row }) => row) },
    ]),
  );
}
