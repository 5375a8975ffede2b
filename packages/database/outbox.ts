import type { Sql } from "./database.ts";

/** A committed fact on its way out. */
export interface OutboxRow {
  position: bigint;
  id: string;
  aggregatetype: string;
  aggregateid: string;
  type: string;
  payload: Uint8Array;
  time: Date;
  traceparent: string;
  request_id: string;
}

/** Takes the oldest facts; they are gone when the transaction commits, that is, after they were published. */
export function takeOutbox(sql: Sql, rowsMax: number): Promise<OutboxRow[]> {
  return take(sql, sql`ctid = any(array(select ctid from outbox order by position limit ${rowsMax} for update))`);
}

/** Like `takeOutbox`, for facts at known positions. */
export function takeAt(sql: Sql, positions: bigint[]): Promise<OutboxRow[]> {
  return take(sql, sql`position = any(${positions.map(String)}::bigint[])`);
}

async function take(sql: Sql, which: ReturnType<Sql>): Promise<OutboxRow[]> {
  const rows = await sql<OutboxRow[]>`
    delete from outbox where ${which}
    returning position, id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id`;
  return rows.sort((a, b) => (a.position < b.position ? -1 : 1));
}

export async function hasOutbox(sql: Sql): Promise<boolean> {
  const [row] = await sql`select from outbox order by position limit 1`;
  return row !== undefined;
}

/** Drops facts that a write-ahead-log relay has published. */
export async function pruneOutbox(sql: Sql, positions: bigint[]): Promise<void> {
  await sql`delete from outbox where position = any(${positions.map(String)}::bigint[])`;
}

/** Topics of the oldest facts. */
export async function outboxTopics(sql: Sql, rowsMax: number): Promise<string[]> {
  const rows = await sql<{ aggregatetype: string }[]>`
    select distinct aggregatetype from (select aggregatetype from outbox order by position limit ${rowsMax}) as oldest`;
  return rows.map(({ aggregatetype }) => aggregatetype);
}

/** Forgets facts by their ids, and gives back the positions of those that were there. */
export async function forgetFacts(sql: Sql, ids: string[]): Promise<bigint[]> {
  const rows = await sql<{ position: bigint }[]>`delete from outbox where id = any(${ids}::uuid[]) returning position`;
  return rows.map(({ position }) => position);
}

/** Without it `forgetFacts` would read the whole outbox, which is long after a day without Debezium. */
export async function indexOutboxIds(sql: Sql): Promise<void> {
  await sql`create index if not exists outbox_id on outbox (id)`;
}

/** The positions of the oldest facts, and the highest there is. A fact above it is committed later than any of these. */
export async function markOldest(
  sql: Sql,
  rowsMax: number,
): Promise<{ oldest: bigint[]; highest: bigint } | undefined> {
  const [row] = await sql<{ oldest: bigint[] | null; highest: bigint }[]>`
    select array(select position from outbox order by position limit ${rowsMax}) as oldest, max(position) as highest
    from outbox`;
  return row?.oldest?.length ? { oldest: row.oldest, highest: row.highest } : undefined;
}

export async function countAt(sql: Sql, positions: bigint[]): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from outbox where position = any(${positions.map(String)}::bigint[])`;
  return row?.count ?? 0;
}

export async function outboxBacklog(sql: Sql): Promise<{ depth: bigint; oldest: Date | null }> {
  const [row] = await sql<
    { depth: bigint; oldest: Date | null }[]
  >`select count(*) as depth, min(time) as oldest from outbox`;
  return row ?? { depth: 0n, oldest: null };
}
