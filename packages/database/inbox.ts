import { bucketOf } from "../time/ids.ts";
import type { Sql } from "./database.ts";

/** Days of real time that ids are remembered. Kafka drops what is 30 days old when it drops the segment around it, which may be a week later. */
export const INBOX_DAYS = 45;

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
  const rows = await sql<Found[]>`
    with fresh as (${insertFresh(sql, messages, now)})
    select 'fresh' as what, message_id::text as id from fresh union all ${older(sql, keys)}`;
  const found = picked(rows);
  const fresh = found("fresh");
  const busy = [...found("waiting"), ...found("parked")];
  return {
    fresh,
    ...(busy.length > 0 ? await holdOlder(sql, busy) : { waiting: new Set<string>(), parked: new Set<string>() }),
  };
}

interface Found {
  what: "fresh" | "waiting" | "parked";
  id: string;
}

const picked = (rows: Found[]) => (what: Found["what"]) =>
  new Set(rows.filter((row) => row.what === what).map(({ id }) => id));

function older(sql: Sql, keys: string[]) {
  return sql`
    select distinct 'waiting' as what, key as id from jobs where kind = 'fact' and key = any(${keys})
    union all select distinct 'parked', key from parked where kind = 'fact' and key = any(${keys})`;
}

/**
 * Which keys have an older fact, and it stays so until the transaction ends: who parks, replays or has done the oldest of a key has done so before, which is then
 * seen, or waits.
 */
async function holdOlder(sql: Sql, keys: string[]) {
  for (;;) {
    const held = new Set([...(await holdOldest(sql, "jobs", keys)), ...(await holdOldest(sql, "parked", keys))]);
    const found = picked(await sql<Found[]>`${older(sql, keys)}`);
    const [waiting, parked] = [found("waiting"), found("parked")];
    if ([...waiting, ...parked].every((key) => held.has(key))) return { waiting, parked };
  }
}

async function holdOldest(sql: Sql, table: "jobs" | "parked", keys: string[]): Promise<string[]> {
  const rows = await sql<{ key: string }[]>`
    select key from ${sql(table)} t where kind = 'fact' and key = any(${keys})
      and not exists (select from ${sql(table)} e where e.kind = 'fact' and e.key = t.key and e.sequence < t.sequence)
    order by key for key share`;
  return rows.map(({ key }) => key);
}

/** In columns, not as JSON: this is done for every message, and reading JSON was a third of what it cost. */
function insertFresh(sql: Sql, messages: Incoming[], now: Date) {
  const buckets = messages.map(({ key }) => bucketOf(key));
  const ids = messages.map(({ id }) => id);
  return sql`
    insert into inbox (bucket, message_id, seen_at)
    select bucket, message_id, ${now} from unnest(${buckets}::smallint[], ${ids}::uuid[]) as came (bucket, message_id)
    on conflict do nothing returning message_id`;
}

/** Until the transaction ends nothing is taken in: what has been is whole, and what comes waits. */
export async function lockInbox(sql: Sql): Promise<void> {
  await sql`lock table inbox in share row exclusive mode`;
}
