import type { Sql } from "./database.ts";
import { bucketOf } from "./ids.ts";

/** Writes the inbox rows of messages and says which ids were new. */
export async function remember(sql: Sql, messages: { id: string; key: string }[], now: Date): Promise<Set<string>> {
  const rows = messages.map(({ id, key }) => ({ bucket: bucketOf(key), message_id: id, seen_at: now }));
  const fresh = await sql<{ message_id: string }[]>`
    insert into inbox (bucket, message_id, seen_at)
    select bucket, message_id, seen_at from json_populate_recordset(null::inbox, ${JSON.stringify(rows)}::text::json)
    on conflict do nothing returning message_id`;
  return new Set(fresh.map((row) => row.message_id));
}

export async function pruneInbox(sql: Sql, before: Date): Promise<void> {
  await sql`delete from inbox where seen_at < ${before}`;
}
