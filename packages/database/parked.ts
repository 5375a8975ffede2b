import type { Sql } from "./database.ts";
import { bucketOf } from "./ids.ts";
import type { Arrival, Failure, JobRow } from "./jobs.ts";

export interface ParkedRow {
  bucket: number;
  parked_id: string;
  sequence: bigint;
  kind: "job" | "fact";
  type: string;
  key: string;
  body: Uint8Array;
  attempts: number;
  error: string;
  traceparent: string;
  request_id: string;
  parked_at: Date;
}

/** Moves a job that failed for good out of the way. */
export async function parkJob(sql: Sql, row: JobRow, failure: Failure, now: Date): Promise<void> {
  await sql`
    with gone as (delete from jobs where job_id = ${row.job_id} and bucket = ${row.bucket} returning *)
    insert into parked (bucket, parked_id, sequence, kind, type, key, body, attempts, error, traceparent, request_id, parked_at)
    select bucket, job_id, sequence, kind, type, key, body, ${failure.attempts}, ${failure.error}, traceparent, request_id, ${now} from gone`;
}

/** Parks a message that has just arrived, behind what is parked already. */
export async function parkArrival(sql: Sql, message: Arrival, failure: Failure, now: Date): Promise<void> {
  const { id, kind, type, key, body, traceparent, request_id } = message;
  await sql`insert into parked (bucket, parked_id, sequence, kind, type, key, body, attempts, error, traceparent, request_id, parked_at)
    values (${bucketOf(key)}, ${id}, nextval(pg_get_serial_sequence('jobs', 'sequence')), ${kind}, ${type}, ${key}, ${body},
      ${failure.attempts}, ${failure.error}, ${traceparent}, ${request_id}, ${now})`;
}

/** A fact that waited behind one that is now parked is parked too, so that a replay keeps their order. */
export async function parkFollowers(sql: Sql, key: string, now: Date): Promise<void> {
  await sql`
    with gone as (delete from jobs where kind = 'fact' and key = ${key} returning *)
    insert into parked (bucket, parked_id, sequence, kind, type, key, body, attempts, error, traceparent, request_id, parked_at)
    select bucket, job_id, sequence, kind, type, key, body, attempts, coalesce(error, 'waits behind a parked message of its key'), traceparent, request_id, ${now} from gone`;
}

export function listParked(sql: Sql, before: bigint | null, rowsMax: number): Promise<ParkedRow[]> {
  return sql<
    ParkedRow[]
  >`select * from parked where ${before}::bigint is null or sequence < ${before} order by sequence desc limit ${rowsMax}`;
}

/** Back to the jobs, due now, with fresh attempts and their old place in the order of their key. */
export async function replayParked(sql: Sql, ids: string[], now: Date): Promise<number> {
  const rows = await sql`
    with gone as (delete from parked where parked_id = any(${ids}) returning *)
    insert into jobs (bucket, job_id, sequence, kind, type, key, body, due_at, error, traceparent, request_id)
    overriding system value select bucket, parked_id, sequence, kind, type, key, body, ${now}, error, traceparent, request_id from gone order by sequence
    returning job_id`;
  return rows.length;
}

export async function discardParked(sql: Sql, ids: string[], by: string, reason: string, now: Date): Promise<number> {
  const rows = await sql`
    with gone as (delete from parked where parked_id = any(${ids}) returning *)
    insert into discarded select gone.*, ${now}, ${by}, ${reason} from gone returning parked_id`;
  return rows.length;
}
