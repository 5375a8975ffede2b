import { uuidV7Floor } from "../time/ids.ts";
import { sleep } from "../time/wait.ts";
import type { Sql } from "./database.ts";

/** How long the rows of a table stay, and why: people read both in docs/reference.md. Every table is on a list; a test reads the catalogue. */
export interface Kept {
  table: string;
  keeps: string;
  why: string;
  /** Left out: maintenance takes nothing of it. */
  prune?: Prune;
}

interface Prune {
  days: number;
  /** A time, or an id made then (UUIDv7). An index begins with it. */
  by: { column: string } | { id: string };
  /** A condition in SQL, of rows that may go. */
  only: string;
}

/** For good: records of the business, and tables that have a row a thing. */
export function forever(table: string, why: string): Kept {
  return { table, keeps: "for ever", why };
}

/** What is done with its rows ends them. */
export function until(table: string, end: string, why: string): Kept {
  return { table, keeps: `until ${end}`, why };
}

/** Days of real time, by a column with the time or an id that was made then; of its rows, only those that `only` is true of. */
export function forDays(days: number, table: string, by: Prune["by"], why: string, only = "true"): Kept {
  return { table, keeps: days === 1 ? "1 day" : `${days} days`, why, prune: { days, by, only } };
}

/** Few enough for a statement of a moment, whatever has piled up. */
const STEP_ROWS_MAX = 5_000;
const PAUSE_MS = 20;

/** Removes rows that came before `before`, a little at a time, and says how many. */
export async function prune(sql: Sql, table: string, { by, only }: Prune, before: Date): Promise<number> {
  const [column, floor] = "id" in by ? [by.id, uuidV7Floor(before.getTime())] : [by.column, before];
  for (let removed = 0; ; await sleep(PAUSE_MS)) {
    const { count } = await sql`
      delete from ${sql(table)} where ctid = any(array(
        select ctid from ${sql(table)} where ${sql(column)} < ${floor} and (${sql.unsafe(only)}) limit ${STEP_ROWS_MAX}))`;
    removed += count;
    if (count < STEP_ROWS_MAX) return removed;
  }
}

export interface Size {
  table: string;
  bytes: number;
  /** As the server last estimated. */
  rows: number;
}

/** What tables take with their indexes, those of a parted table together. Nothing is read of them. */
export async function sizesOf(sql: Sql, tables: string[]): Promise<Size[]> {
  return sql<Size[]>`
    select c.relname as table, sum(pg_total_relation_size(part.oid))::float8 as bytes, sum(greatest(part.reltuples, 0))::float8 as rows
    from pg_class c left join pg_inherits i on i.inhparent = c.oid join pg_class part on part.oid = coalesce(i.inhrelid, c.oid)
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any(${tables})
    group by c.relname`;
}
