import type { Sql } from "./database.ts";
import { bucketOf } from "./ids.ts";

/** A row of `jobs`: a job of this service, a job for another, or a fact to be tried again. */
export interface JobRow {
  bucket: number;
  job_id: string;
  sequence: bigint;
  kind: "job" | "fact";
  target: string | null;
  type: string;
  key: string;
  body: Uint8Array;
  due_at: Date;
  attempts: number;
  error: string | null;
  traceparent: string;
  request_id: string;
}

/** What a message that could not be handled leaves behind. */
export interface Failure {
  error: string;
  attempts: number;
}

/**
 * Claims due jobs of this service: they are gone when the transaction commits. By ctid, so that the claim stays an index scan at any depth.
 * A fact waits while an older one of its key is still there.
 */
export function claimDue(sql: Sql, now: Date, effects: string[], rowsMax: number): Promise<JobRow[]> {
  return sql<JobRow[]>`
    delete from jobs where ctid = any(array(
      select ctid from jobs j where target is null and due_at <= ${now} and type <> all(${effects})
        and ${unblocked(sql)}
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning *`.then(inOrder);
}

/** Claims one job by id, if it is still there and nobody else works on it. */
export async function claimOne(sql: Sql, row: JobRow): Promise<boolean> {
  const rows = await sql`
    delete from jobs where ctid = any(array(
      select ctid from jobs where job_id = ${row.job_id} and bucket = ${row.bucket} and due_at <= ${row.due_at} for update skip locked))
    returning job_id`;
  return rows.length === 1;
}

/** Leases due effects until `until`: a worker that dies leaves them to the next. */
export function leaseEffects(sql: Sql, now: Date, until: Date, effects: string[], rowsMax: number): Promise<JobRow[]> {
  return sql<JobRow[]>`
    update jobs set due_at = ${until}, attempts = attempts + 1 where ctid = any(array(
      select ctid from jobs where target is null and due_at <= ${now} and type = any(${effects})
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning *`.then(inOrder);
}

/** Claims what is due and belongs to services other than `resting`: gone when the transaction commits, that is, after it was sent. */
export function claimOutgoing(sql: Sql, now: Date, resting: string[], rowsMax: number): Promise<JobRow[]> {
  return sql<JobRow[]>`
    delete from jobs where ctid = any(array(
      select ctid from jobs where target is not null and target <> all(${resting}) and due_at <= ${now}
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning *`.then(inOrder);
}

/** Forgets jobs and says which of them, by id, were still there. */
export async function finish(sql: Sql, rows: JobRow[]): Promise<Set<string>> {
  const ids = rows.map((row) => row.job_id);
  const buckets = rows.map((row) => row.bucket);
  const done = await sql<{ job_id: string }[]>`
    delete from jobs where (job_id, bucket) in (select * from unnest(${ids}::uuid[], ${buckets}::smallint[])) returning job_id`;
  return new Set(done.map((row) => row.job_id));
}

/** When the next job of this service falls due, effects left out, and facts that wait for an older one of their key. */
export async function nextDue(sql: Sql, effects: string[]): Promise<Date | null> {
  const [row] = await sql<{ due_at: Date }[]>`
    select due_at from jobs j where target is null and type <> all(${effects}) and ${unblocked(sql)} order by due_at limit 1`;
  return row?.due_at ?? null;
}

export async function nextEffect(sql: Sql, type: string): Promise<Date | null> {
  const [row] = await sql<{ due_at: Date }[]>`
    select due_at from jobs where target is null and type = ${type} order by due_at limit 1`;
  return row?.due_at ?? null;
}

export async function nextOutgoing(sql: Sql, resting: string[]): Promise<Date | null> {
  const [row] = await sql<{ at: Date | null }[]>`
    select min(due_at) as at from jobs where target is not null and target <> all(${resting})`;
  return row?.at ?? null;
}

function unblocked(sql: Sql) {
  return sql`(kind = 'job' or not exists (select from jobs e where e.kind = 'fact' and e.key = j.key and e.sequence < j.sequence))`;
}

export async function retryLater(sql: Sql, row: JobRow, failure: Failure, dueAt: Date): Promise<void> {
  await sql`update jobs set due_at = ${dueAt}, attempts = ${failure.attempts}, error = ${failure.error}
    where job_id = ${row.job_id} and bucket = ${row.bucket}`;
}

/** A message as it arrives; `id` is its own for ever. */
export interface Arrival {
  id: string;
  kind: "job" | "fact";
  type: string;
  key: string;
  body: Uint8Array;
  traceparent: string;
  request_id: string;
}

/** Keeps arrived messages as jobs of this service. */
export async function keep(sql: Sql, arrivals: Arrival[], dueAt: Date, failure?: Failure): Promise<void> {
  for (const { id, kind, type, key, body, traceparent, request_id } of arrivals) {
    await sql`insert into jobs (bucket, job_id, kind, type, key, body, due_at, attempts, error, traceparent, request_id)
      values (${bucketOf(key)}, ${id}, ${kind}, ${type}, ${key}, ${body}, ${dueAt}, ${failure?.attempts ?? 0}, ${failure?.error ?? null}, ${traceparent}, ${request_id})`;
  }
}

export interface JobsBacklog {
  due: bigint;
  oldest: Date | null;
  scheduled: bigint;
  parked: bigint;
}

export async function jobsBacklog(sql: Sql, now: Date): Promise<JobsBacklog> {
  const [row] = await sql<JobsBacklog[]>`
    select count(*) filter (where due_at <= ${now}) as due, min(due_at) filter (where due_at <= ${now}) as oldest,
      count(*) filter (where due_at > ${now}) as scheduled, (select count(*) from parked) as parked from jobs`;
  return row ?? { due: 0n, oldest: null, scheduled: 0n, parked: 0n };
}

function inOrder(rows: JobRow[]): JobRow[] {
  return [...rows].sort((a, b) => a.due_at.getTime() - b.due_at.getTime() || (a.sequence < b.sequence ? -1 : 1));
}
