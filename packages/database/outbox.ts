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
export async function takeOutbox(sql: Sql, rowsMax: number): Promise<OutboxRow[]> {
  const rows = await sql<OutboxRow[]>`
    delete from outbox where ctid = any(array(select ctid from outbox order by position limit ${rowsMax} for update))
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

export async function outboxBacklog(sql: Sql): Promise<{ depth: bigint; oldest: Date | null }> {
  const [row] = await sql<
    { depth: bigint; oldest: Date | null }[]
  >`select count(*) as depth, min(time) as oldest from outbox`;
  return row ?? { depth: 0n, oldest: null };
}
