import type { FactEnvelope } from "../api/envelope.ts";
import type { Term } from "./campaign.ts";
import type { Sql } from "./database.ts";
import { correlationId } from "./envelope.ts";
import { leads } from "./leader.ts";
import type { Found } from "./recent.ts";
import type { Row } from "./table.ts";

/** A committed fact on its way out. Its source is the service whose outbox it is. */
export interface Outgoing extends Omit<FactEnvelope, "source"> {
  /** Where it was read. What this process has written itself is not. */
  position?: bigint;
}

export interface OutboxRow extends Outgoing {
  position: bigint;
}

/** What a row says that this process has written. */
export function outgoing({ id, aggregatetype, aggregateid, type, payload, time, ...carried }: Row): Outgoing {
  if (!(payload instanceof Uint8Array && time instanceof Date)) throw new Error(`expected a fact in row ${id}`);
  return {
    id: String(id),
    topic: String(aggregatetype),
    key: String(aggregateid),
    type: String(type),
    time,
    traceparent: String(carried["traceparent"]),
    correlationId: String(carried["correlation_id"]),
    body: payload,
  };
}

/**
 * Forgets the facts that were published and finds the oldest of the others, in one statement. No lock is held while they are published: who stops in the middle
 * of that holds up nobody. Without the lead it forgets nothing and finds nothing.
 */
export function nextOutbox(sql: Sql, term: Term, published: bigint[], rowsMax: number): Promise<Found[]> {
  const gone = published.map(String);
  return sql<Found[]>`
    with lead as materialized (select ${leads(sql, term)} as lasts),
    forgotten as (delete from outbox where position = any(${gone}::bigint[]) and (select lasts from lead))
    select position, id
    from outbox where (select lasts from lead) and position <> all(${gone}::bigint[]) order by position limit ${rowsMax}`;
}

/** Facts at known positions. */
export function readAt(sql: Sql, positions: bigint[]): Promise<OutboxRow[]> {
  return sql<OutboxRow[]>`
    select ${columns(sql)}
    from outbox where position = any(${positions.map(String)}::bigint[]) order by position`;
}

/** Forgets facts that were published. */
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

/** The table's names are Debezium's. */
function columns(sql: Sql) {
  return sql`position, id, aggregatetype as topic, aggregateid as key, type, payload as body, time, traceparent, ${correlationId(sql)}`;
}
