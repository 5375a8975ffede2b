import type { Envelope } from "../api/envelope.ts";
import { bucketOf } from "../time/ids.ts";
import type { Sql } from "./database.ts";
import { ENVELOPE, envelopeColumns, envelopeNames, envelopeRow } from "./envelope.ts";
import { asRead, type Failure, type JobRow, type Kind } from "./jobs.ts";
import { namesOf, rowsOf, table } from "./table.ts";

export interface ParkedRow extends Envelope {
  bucket: number;
  sequence: bigint;
  kind: Kind;
  attempts: number;
  error: string;
  parked_at: Date;
}

/** Moves a job that failed for good out of the way; false when it was not there any more as it was read. */
export async function parkJob(sql: Sql, row: JobRow, failure: Failure, now: Date): Promise<boolean> {
  const rows = await sql`
    with gone as (delete from jobs where ${asRead(sql, row)} returning *)
    insert into parked (bucket, parked_id, sequence, kind, attempts, error, parked_at, ${kept(sql)})
    select bucket, job_id, sequence, kind, ${failure.attempts}, ${failure.error}, ${now}, ${kept(sql)} from gone returning parked_id`;
  return rows.length === 1;
}

const PARKED = table("parked", {
  bucket: "smallint",
  parked_id: "uuid",
  kind: "text",
  attempts: "smallint",
  error: "text",
  parked_at: "timestamptz",
  ...ENVELOPE,
});

/** Parks a message that has just arrived, behind what is parked already. */
export async function parkArrival(
  sql: Sql,
  kind: Kind,
  message: Envelope,
  { attempts, error }: Failure,
  now: Date,
): Promise<void> {
  const row = {
    ...envelopeRow(message),
    ...{ bucket: bucketOf(message.key), parked_id: message.id, kind, attempts, error, parked_at: now },
  };
  await sql`
    insert into parked (sequence, ${namesOf(sql, PARKED)})
    select nextval(pg_get_serial_sequence('jobs', 'sequence')), ${namesOf(sql, PARKED)} from ${rowsOf(sql, PARKED, [row])} as arrived`;
}

/** A fact that waited behind one that is now parked is parked too, so that a replay keeps their order: those that arrive meanwhile as well, which hold the oldest. */
export async function parkFollowers(sql: Sql, key: string, now: Date): Promise<void> {
  await sql`select from jobs where kind = 'fact' and key = ${key} order by sequence for update`;
  await sql`
    with gone as (delete from jobs where kind = 'fact' and key = ${key} returning *)
    insert into parked (bucket, parked_id, sequence, kind, attempts, error, parked_at, ${kept(sql)})
    select bucket, job_id, sequence, kind, attempts, coalesce(error, 'waits behind a parked message of its key'), ${now}, ${kept(sql)} from gone`;
}

/** In the order they came: of one key the oldest first, which is the one that the others wait for. */
export function listParked(sql: Sql, after: bigint | null, rowsMax: number): Promise<ParkedRow[]> {
  return sql<ParkedRow[]>`
    select bucket, parked_id as id, sequence, kind, attempts, error, parked_at, ${envelopeColumns(sql, sql`parked_at`)}
    from parked where ${after}::bigint is null or sequence > ${after} order by sequence limit ${rowsMax}`;
}

/**
 * Back to the jobs, due now, with fresh attempts and their old place in the order of their key: a fact with all that are parked of its key, or it would be
 * handled before older ones. Who worked on them before they were parked has lost them. Says which they are.
 */
export async function replayParked(sql: Sql, ids: string[], now: Date): Promise<string[]> {
  const rows = await sql<{ job_id: string }[]>`
    with gone as (delete from parked where ${orOfTheirKeys(sql, ids)} returning *)
    insert into jobs (bucket, job_id, sequence, kind, due_at, error, fence, ${kept(sql)})
    overriding system value
    select bucket, parked_id, sequence, kind, ${now}, error, nextval('job_fences'), ${kept(sql)} from gone order by sequence
    returning job_id`;
  return rows.map(({ job_id }) => job_id);
}

/** Nobody parks anything behind them until the transaction ends; who has begun to is waited for. */
export async function lockToReplay(sql: Sql, ids: string[]): Promise<void> {
  await sql`select from parked where ${orOfTheirKeys(sql, ids)} order by key, sequence for update`;
}

function orOfTheirKeys(sql: Sql, ids: string[]) {
  return sql`(parked_id = any(${ids}) or kind = 'fact' and key in (select key from parked where kind = 'fact' and parked_id = any(${ids})))`;
}

/** Which of them are parked, and nobody else's to replay or discard until the transaction ends. */
export async function lockParked(sql: Sql, ids: string[]): Promise<string[]> {
  const rows = await sql<{ parked_id: string }[]>`
    select parked_id from parked where parked_id = any(${ids}) order by parked_id for update`;
  return rows.map(({ parked_id }) => parked_id);
}

export async function discardParked(sql: Sql, ids: string[], by: string, reason: string, now: Date): Promise<number> {
  const columns = sql`bucket, parked_id, sequence, kind, attempts, error, parked_at, ${kept(sql)}`;
  const rows = await sql`
    with gone as (delete from parked where parked_id = any(${ids}) returning *)
    insert into discarded (${columns}, discarded_at, discarded_by, reason)
    select ${columns}, ${now}, ${by}, ${reason} from gone returning parked_id`;
  return rows.length;
}

/** The columns of a message as they are, those of the version before too. */
function kept(sql: Sql) {
  return sql`${envelopeNames(sql)}, request_id`;
}
