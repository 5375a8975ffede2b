import type { Sql } from "./database.ts";
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

interface Waiting {
  recorded: Recorded;
  key: OnceKey | undefined;
  resolve(fresh: boolean): void;
  reject(error: unknown): void;
}

/**
 * Group commit: a flusher takes what waits and writes it as one statement; there is no waiting window, so a lone caller loses nothing.
 * A batch that fails is written again one story at a time: one bad row never fails a neighbour.
 */
export function createBatcher(sql: Sql): Batcher {
  const waiting: Waiting[] = [];
  let flushing = 0;

  function pump() {
    while (flushing < FLUSHERS && waiting.length > 0) {
      flushing += 1;
      void flush(take(waiting)).finally(() => {
        flushing -= 1;
        pump();
      });
    }
  }

  async function flush(stories: Waiting[]) {
    try {
      const fresh = await writeStories(sql, stories);
      for (const [index, story] of stories.entries()) story.resolve(fresh.has(index));
    } catch (error) {
      const [only] = stories;
      if (stories.length === 1) only?.reject(error);
      else for (const story of stories) await flush([story]);
    }
  }

  return {
    commit(recorded, key) {
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      waiting.push({ recorded, key, resolve, reject });
      pump();
      return promise;
    },
  };
}

/** Up to a batch, without two stories of one key: the second would not see that the first took it. */
function take(waiting: Waiting[]): Waiting[] {
  const keys = new Set<string>();
  const taken: Waiting[] = [];
  const left: Waiting[] = [];
  for (const story of waiting) {
    const key = story.key && `${story.key.caller} ${story.key.rpc} ${story.key.request_id}`;
    if (taken.length === BATCH_STORIES_MAX || (key && keys.has(key))) left.push(story);
    else taken.push(story);
    if (key) keys.add(key);
  }
  waiting.splice(0, waiting.length, ...left);
  return taken;
}

/** Writes the stories in one statement and says which of them, by index, were written. */
async function writeStories(sql: Sql, stories: Waiting[]): Promise<Set<number>> {
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
    return new Set(keyless);
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
  return new Set(rows.map((row) => row.story));
}

function merged(groups: Map<string, { table: string; columns: string[]; rows: { row: Row }[] }>): Recorded {
  return new Map(
    [...groups].map(([statement, { table, columns, rows }]) => [
      statement,
      { table, columns, rows: rows.map(({ row }) => row) },
    ]),
  );
}
