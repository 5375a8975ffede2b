import type { Sql } from "./database.ts";
import { bucketOf } from "./ids.ts";

interface Incoming {
  id: string;
  key: string;
}

/** Writes the inbox rows of messages and says which ids were new. */
export async function remember(sql: Sql, messages: Incoming[], now: Date): Promise<Set<string>> {
  const rows = await sql<{ message_id: string }[]>`${insertFresh(sql, messages, now)}`;
  return new Set(rows.map((row) => row.message_id));
}

/** Does the same, and says besides which keys have an older fact that is to be tried again, or is parked: theirs must queue up behind it. */
export async function rememberFacts(sql: Sql, messages: Incoming[], now: Date) {
  const keys = messages.map(({ key }) => key);
  const rows = await sql<{ what: "fresh" | "waiting" | "parked"; id: string }[]>`
    with fresh as (${insertFresh(sql, messages, now)})
    select 'fresh' as what, message_id::text as id from fresh
    union all select 'waiting', key from jobs where kind = 'fact' and key = any(${keys})
    union all select 'parked', key from parked where kind = 'fact' and key = any(${keys})`;
  const pick = (what: string) => new Set(rows.filter((row) => row.what === what).map(({ id }) => id));
  return { fresh: pick("fresh"), waiting: pick("waiting"), parked: pick("parked") };
}

function insertFresh(sql: Sql, messages: Incoming[], now: Date) {
  const rows = messages.map(({ id, key }) => ({ bucket: bucketOf(key), message_id: id, seen_at: now }));
  return sql`
    insert into inbox (bucket, message_id, seen_at)
    select bucket, message_id, seen_at from json_populate_recordset(null::inbox, ${JSON.stringify(rows)}::text::json)
    on conflict do nothing returning message_id`;
}

export async function pruneInbox(sql: Sql, before: Date): Promise<void> {
  await sql`delete from inbox where seen_at < ${before}`;
}
