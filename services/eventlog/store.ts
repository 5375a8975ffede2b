import type { Sql } from "../../packages/database/database.ts";
import { insertRows, namesOf, table } from "../../packages/database/table.ts";
import type { Entry, Place } from "./chain.ts";

export interface SignedPlace extends Place {
  signature: Uint8Array;
}

/** The end of the journal, and when it was last kept as a checkpoint. */
export interface Head extends SignedPlace {
  checkpoint_sequence: bigint;
  checkpoint_at: Date;
}

export interface SealedEntry extends Entry {
  hash: Uint8Array;
}

/** Places, with their signatures. */
export const CHECKPOINTS = table("checkpoints", {
  sequence: "bigint",
  hash: "bytea",
  recorded_at: "timestamptz",
  signature: "bytea",
});
const HEAD = (sql: Sql) => sql`${namesOf(sql, CHECKPOINTS)}, checkpoint_sequence, checkpoint_at`;
const ENTRY = (sql: Sql) => sql`
  sequence, event_id, type, source, subject, time, recorded_at, traceparent, correlation_id, order_id, body, hash`;

const EVENTS = table("events", {
  sequence: "bigint",
  event_id: "uuid",
  type: "text",
  source: "text",
  subject: "text",
  time: "timestamptz",
  recorded_at: "timestamptz",
  traceparent: "text",
  correlation_id: "text",
  order_id: "uuid",
  body: "bytea",
  hash: "bytea",
  month: "date",
});

/** Until the transaction ends nobody else appends. */
export async function lockHead(sql: Sql): Promise<Head> {
  return only(await sql<Head[]>`select ${HEAD(sql)} from head for update`);
}

export async function readHead(sql: Sql): Promise<Head> {
  return only(await sql<Head[]>`select ${HEAD(sql)} from head`);
}

/** Writes entries, the new end, and a checkpoint where there is to be one, in one statement. */
export async function append(sql: Sql, entries: SealedEntry[], head: Head, checkpoint?: SignedPlace): Promise<void> {
  const month = monthOf(head.recorded_at);
  const rows = entries.map((entry) => ({ ...entry, month }));
  await sql`
    with moved as (
      update head set sequence = ${head.sequence}, hash = ${head.hash}, recorded_at = ${head.recorded_at}, signature = ${head.signature},
        checkpoint_sequence = ${head.checkpoint_sequence}, checkpoint_at = ${head.checkpoint_at}
    ), kept as (
      ${insertRows(sql, CHECKPOINTS, checkpoint ? [checkpoint] : [])}
    )
    ${insertRows(sql, EVENTS, rows)}`;
}

/** The month of writing, as its first day. */
export function monthOf(at: Date): string {
  return `${at.toISOString().slice(0, 7)}-01`;
}

export interface Filter {
  subject: string;
  type: string;
  orderId: string;
  from?: Date | undefined;
  to?: Date | undefined;
}

export interface Span {
  /** Begins behind this one, in the direction of reading; null at the end it begins with. */
  after: bigint | null;
  oldestFirst: boolean;
  /** The last that may be among them. */
  upTo?: bigint;
  rowsMax: number;
}

export function listEntries(
  sql: Sql,
  filter: Filter,
  { after, oldestFirst, upTo, rowsMax }: Span,
): Promise<SealedEntry[]> {
  const { subject, type, orderId, from, to } = filter;
  const behind = oldestFirst ? sql`sequence > ${after}` : sql`sequence < ${after}`;
  return sql<SealedEntry[]>`
    select ${ENTRY(sql)} from events where true
    ${subject ? sql`and subject = ${subject}` : sql``} ${type ? sql`and type = ${type}` : sql``}
    ${orderId ? sql`and order_id = ${orderId}` : sql``}
    ${from ? sql`and time >= ${from}` : sql``} ${to ? sql`and time < ${to}` : sql``}
    ${after === null ? sql`` : sql`and ${behind}`} ${upTo === undefined ? sql`` : sql`and sequence <= ${upTo}`}
    order by sequence ${oldestFirst ? sql`asc` : sql`desc`} limit ${rowsMax}`;
}

/** By when they happened. */
export function readEntries(
  sql: Sql,
  { from, to }: { from: Date; to: Date },
  after: { time: Date; sequence: bigint } | null,
  rowsMax: number,
): Promise<SealedEntry[]> {
  return sql<SealedEntry[]>`
    select ${ENTRY(sql)} from events where time >= ${from} and time < ${to}
    ${after ? sql`and (time, sequence) > (${after.time}, ${after.sequence})` : sql``}
    order by time, sequence limit ${rowsMax}`;
}

export function findEntries(sql: Sql, eventIds: string[]): Promise<SealedEntry[]> {
  return sql<SealedEntry[]>`select ${ENTRY(sql)} from events where event_id = any(${eventIds}) order by sequence`;
}

/** All with these sequences, also those that are there twice. */
export function entriesBetween(sql: Sql, first: bigint, last: bigint): Promise<SealedEntry[]> {
  return sql<
    SealedEntry[]
  >`select ${ENTRY(sql)} from events where sequence between ${first} and ${last} order by sequence`;
}

export async function lastSequence(sql: Sql): Promise<bigint> {
  const [row] = await sql<{ sequence: bigint | null }[]>`select max(sequence) as sequence from events`;
  return row?.sequence ?? 0n;
}

export function listCheckpoints(sql: Sql, first: bigint, last: bigint): Promise<SignedPlace[]> {
  return sql<SignedPlace[]>`
    select ${namesOf(sql, CHECKPOINTS)} from checkpoints where sequence between ${first} and ${last} order by sequence`;
}

export async function findEntry(sql: Sql, sequence: bigint): Promise<SealedEntry | undefined> {
  const [entry] = await sql<SealedEntry[]>`select ${ENTRY(sql)} from events where sequence = ${sequence}`;
  return entry;
}

export async function lastSeal(sql: Sql): Promise<SignedPlace | undefined> {
  const [seal] = await sql<
    SignedPlace[]
  >`select ${namesOf(sql, CHECKPOINTS)} from seals order by sequence desc limit 1`;
  return seal;
}

function only<T>([row]: T[]): T {
  if (!row) throw new Error("expected the head of the journal, found none");
  return row;
}
