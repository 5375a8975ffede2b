import type { Envelope } from "../api/envelope.ts";
import { bucketOf } from "../time/ids.ts";
import type { Sql } from "./database.ts";
import { ENVELOPE, envelopeColumns, envelopeRow } from "./envelope.ts";
import { insertRows, table } from "./table.ts";

/** What may have to be done later: a job, or a fact that is to be tried again. */
export type Kind = "job" | "fact";

/** A row of `jobs`: a job of this service, a job for another, or a fact to be tried again. */
export interface JobRow extends Envelope {
  bucket: number;
  sequence: bigint;
  kind: Kind;
  target: string | null;
  due_at: Date;
  attempts: number;
  error: string | null;
  /** The claim it was read under; null before the first. Writes that carry another one change nothing. */
  fence: bigint | null;
  /** Claims, this one with them, since the last answer. */
  unanswered: number;
  /** What went wrong last, how often in a row, and when that is enough. */
  trouble: string | null;
  tries: number;
  give_up_at: Date | null;
}

/** What a message that could not be handled leaves behind. */
export interface Failure {
  error: string;
  attempts: number;
}

/** What a message that is to be tried again leaves behind. */
export interface Retry extends Failure {
  due_at: Date;
  trouble: string;
  tries: number;
  give_up_at: Date;
}

/** What a process can do in a transaction, by type. What it does not know is another version's, and stays. */
export interface Known {
  jobs: string[];
  /** Left out: facts of every type. */
  facts?: string[];
  /** Facts that some process of the service can do: they keep the younger ones of their keys waiting. */
  heard: string[];
}

/**
 * Claims due jobs of this service: they are gone when the transaction commits. By ctid, so that the claim stays an index scan at any depth.
 * A fact waits while an older one of its key is still there.
 */
export function claimDue(sql: Sql, now: Date, known: Known, rowsMax: number): Promise<JobRow[]> {
  return sql<JobRow[]>`
    delete from jobs where ctid = any(array(
      select ctid from jobs j where target is null and due_at <= ${now} and ${isKnown(sql, known)}
        and ${unblocked(sql, known)}
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning ${columns(sql)}`.then(inOrder);
}

/** Claims one job as it was read, if it is still there so and nobody else works on it: gone when the transaction commits. */
export async function claimOne(sql: Sql, row: JobRow): Promise<boolean> {
  const rows = await sql`
    delete from jobs where ctid = any(array(select ctid from jobs where ${asRead(sql, row)} for update skip locked))
    returning job_id`;
  return rows.length === 1;
}

/** A claim that outlives its transaction: until `until` nobody else takes the job. A worker that dies leaves it to the next. */
export interface Lease {
  now: Date;
  until: Date;
}

/** Leases due effects of one type, other than those whose ids are in `except`. */
export function leaseEffects(
  sql: Sql,
  type: string,
  { now, until }: Lease,
  rowsMax: number,
  except: string[] = [],
): Promise<JobRow[]> {
  return sql<JobRow[]>`
    update jobs set due_at = ${until}, attempts = attempts + 1, ${newClaim(sql)} where ctid = any(array(
      select ctid from jobs where target is null and due_at <= ${now} and type = ${type} and job_id <> all(${except}::uuid[])
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning ${columns(sql)}`.then(inOrder);
}

/** Leases the oldest of the jobs that `claimDue` would claim: only those that were never begun without an answer, or only others. */
export function leaseOldest(
  sql: Sql,
  { now, until }: Lease,
  known: Known,
  which: "new" | "suspect",
  rowsMax: number,
): Promise<JobRow[]> {
  return sql<JobRow[]>`
    update jobs set due_at = ${until}, ${newClaim(sql)} where ctid = any(array(
      select ctid from jobs j where target is null and due_at <= ${now} and ${isKnown(sql, known)}
        and (coalesce(unanswered, 0) > 0) = ${which === "suspect"} and ${unblocked(sql, known)}
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning ${columns(sql)}`.then(inOrder);
}

/** Keeps leased jobs for longer, and says of which that was still possible. */
export async function renewLeases(sql: Sql, rows: JobRow[], until: Date): Promise<Set<string>> {
  const kept = await sql<{ job_id: string }[]>`
    update jobs j set due_at = ${until} from ${these(sql, rows)} where ${areThese(sql)} returning job_id`;
  return new Set(kept.map(({ job_id }) => job_id));
}

/** Leases what is due and belongs to services other than `resting`, until it was sent. */
export function leaseOutgoing(sql: Sql, { now, until }: Lease, resting: string[], rowsMax: number): Promise<JobRow[]> {
  return sql<JobRow[]>`
    update jobs set due_at = ${until}, ${newClaim(sql)} where ctid = any(array(
      select ctid from jobs where target is not null and target <> all(${resting}) and due_at <= ${now}
      order by due_at, sequence limit ${rowsMax} for update skip locked))
    returning ${columns(sql)}`.then(inOrder);
}

/** Lets go of what could not be sent: due again at once, to whoever reaches its queue. */
export async function releaseOutgoing(sql: Sql, rows: JobRow[], now: Date): Promise<void> {
  await sql`update jobs j set due_at = ${now}, unanswered = 0, fence = nextval('job_fences') from ${these(sql, rows)} where ${areThese(sql)}`;
}

/** Forgets jobs and says which of them, by id, were still there as they were read. */
export async function finish(sql: Sql, rows: JobRow[]): Promise<Set<string>> {
  const done = await sql<{ job_id: string }[]>`
    delete from jobs j using ${these(sql, rows)} where ${areThese(sql)} returning job_id`;
  return new Set(done.map((row) => row.job_id));
}

/** When the next of what is known falls due, without facts that wait for an older one of their key. */
export async function nextDue(sql: Sql, known: Known): Promise<Date | null> {
  const [row] = await sql<{ due_at: Date }[]>`
    select due_at from jobs j where target is null and ${isKnown(sql, known)} and ${unblocked(sql, known)} order by due_at limit 1`;
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

function isKnown(sql: Sql, { jobs, facts }: Known) {
  return facts
    ? sql`type = any(case kind when 'job' then ${jobs}::text[] else ${facts}::text[] end)`
    : sql`(kind = 'fact' or type = any(${jobs}))`;
}

function unblocked(sql: Sql, { facts, heard }: Known) {
  const hold = facts ? sql`e.type = any(${heard})` : sql`true`;
  return sql`(kind = 'job' or not exists (select from jobs e where e.kind = 'fact' and e.key = j.key and e.sequence < j.sequence and ${hold}))`;
}

/** What has been due since then, and what nobody of the service does. */
export function listUnknown(
  sql: Sql,
  { jobs, facts, heard }: Known,
  dueBefore: Date,
  rowsMax: number,
): Promise<JobRow[]> {
  const ours = isKnown(sql, { jobs, heard, ...(facts && { facts: heard }) });
  return sql<JobRow[]>`
    select ${columns(sql)} from jobs where target is null and due_at < ${dueBefore} and not ${ours} order by due_at limit ${rowsMax}`;
}

/** Puts a job back for later; false when it was not there any more as it was read. */
export async function retryLater(sql: Sql, row: JobRow, retry: Retry): Promise<boolean> {
  const { due_at, attempts, error, trouble, tries, give_up_at } = retry;
  const rows = await sql`
    update jobs set due_at = ${due_at}, attempts = ${attempts}, error = ${error}, trouble = ${trouble}, tries = ${tries},
      give_up_at = ${give_up_at}, unanswered = 0, fence = nextval('job_fences')
    where ${asRead(sql, row)} returning job_id`;
  return rows.length === 1;
}

/** True of the job as it was read: its fence says that nobody has claimed it or given it back since. */
export function asRead(sql: Sql, { id, bucket, fence }: JobRow) {
  return sql`job_id = ${id} and bucket = ${bucket} and fence is not distinct from ${fence}::bigint`;
}

function these(sql: Sql, rows: JobRow[]) {
  const fences = rows.map(({ fence }) => String(fence ?? NEVER_CLAIMED));
  return sql`unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ bucket }) => bucket)}::smallint[], ${fences}::bigint[]) as t (id, bucket, fence)`;
}

function areThese(sql: Sql) {
  return sql`j.job_id = t.id and j.bucket = t.bucket and coalesce(j.fence, ${NEVER_CLAIMED}) = t.fence`;
}

function newClaim(sql: Sql) {
  return sql`fence = nextval('job_fences'), unanswered = coalesce(unanswered, 0) + 1`;
}

/** Fences begin with 1. */
const NEVER_CLAIMED = 0;

const ARRIVED = table("jobs", {
  bucket: "smallint",
  job_id: "uuid",
  kind: "text",
  due_at: "timestamptz",
  attempts: "smallint",
  error: "text",
  trouble: "text",
  tries: "smallint",
  give_up_at: "timestamptz",
  ...ENVELOPE,
});

/** Keeps arrived messages as jobs of this service, in their order. */
export async function keep(sql: Sql, kind: Kind, messages: Envelope[], dueAt: Date, failed?: Retry): Promise<void> {
  if (messages.length === 0) return;
  const rows = messages.map((message) => ({
    ...envelopeRow(message),
    ...{ bucket: bucketOf(message.key), job_id: message.id, kind, due_at: dueAt, attempts: failed?.attempts ?? 0 },
    ...{ error: failed?.error, trouble: failed?.trouble, tries: failed?.tries, give_up_at: failed?.give_up_at },
  }));
  await insertRows(sql, ARRIVED, rows);
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

function columns(sql: Sql) {
  return sql`bucket, job_id as id, sequence, kind, target, due_at, attempts, error, fence, coalesce(unanswered, 0) as unanswered,
    trouble, coalesce(tries, 0) as tries, give_up_at, ${envelopeColumns(sql, sql`due_at`)}`;
}
