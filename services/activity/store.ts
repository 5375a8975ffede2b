import type { Sql } from "../../packages/database/database.ts";
import { lockInbox } from "../../packages/database/inbox.ts";
import { insertRows, type RowOf, table } from "../../packages/database/table.ts";
import type { CountRow, TakingRow } from "./tally.ts";

export interface Rows {
  counts: CountRow[];
  takings: TakingRow[];
}

const TAKINGS = table("takings", {
  at: "timestamptz",
  kind: "text",
  reason: "text",
  currency_code: "text",
  quantity: "bigint",
  minor_units: "bigint",
});
const COUNTS = table("counts", { at: "timestamptz", type: "text", quantity: "bigint" });

/** Adds to what was counted before: one statement, one row a type and quarter hour, however many facts. */
export async function addRows(sql: Sql, { counts, takings }: Rows): Promise<void> {
  await sql`
    with added as (
      ${insertRows(sql, TAKINGS, takings)} on conflict (at, kind, reason, currency_code)
      do update set quantity = takings.quantity + excluded.quantity, minor_units = takings.minor_units + excluded.minor_units
    )
    ${insertRows(sql, COUNTS, counts)} on conflict (at, type) do update set quantity = counts.quantity + excluded.quantity`;
}

export interface SpanCount {
  /** 0 is the first span. */
  span: number;
  type: string;
  quantity: bigint;
}

/** Sums by span and type. `bounds` begin the spans, the last one ends them. */
export function sumCounts(sql: Sql, bounds: Date[]): Promise<SpanCount[]> {
  return sql<SpanCount[]>`
    select width_bucket(at, ${texts(bounds)}::timestamptz[]) - 1 as span, type, sum(quantity)::bigint as quantity
    from counts where ${within(sql, bounds)} group by 1, 2 order by 1, 2`;
}

export type SpanTaking = Omit<TakingRow, "at"> & { span: number };

export function sumTakings(sql: Sql, bounds: Date[]): Promise<SpanTaking[]> {
  return sql<SpanTaking[]>`
    select width_bucket(at, ${texts(bounds)}::timestamptz[]) - 1 as span, kind, reason, currency_code,
      sum(quantity)::bigint as quantity, sum(minor_units)::bigint as minor_units
    from takings where ${within(sql, bounds)} group by 1, 2, 3, 4 order by 1, 2, 3, 4`;
}

/** When the first fact that was counted happened, to the quarter hour; null when none was. */
export async function firstCounted(sql: Sql): Promise<Date | null> {
  const [row] = await sql<{ at: Date | null }[]>`select min(at) as at from counts`;
  return row?.at ?? null;
}

function within(sql: Sql, bounds: Date[]) {
  return sql`at >= ${bounds[0] ?? null} and at < ${bounds.at(-1) ?? null}`;
}

function texts(times: Date[]): string[] {
  return times.map((time) => time.toISOString());
}

const REBUILT_FACTS = table("rebuilt_facts", {
  rebuild_id: "uuid",
  event_id: "uuid",
  bucket: "smallint",
  inside: "boolean",
  at: "timestamptz",
  type: "text",
  kind: "text",
  reason: "text",
  currency_code: "text",
  minor_units: "bigint",
});

/** A fact of a rebuild, as its row. */
export type StagedFact = RowOf<(typeof REBUILT_FACTS)["columns"]>;

export async function stage(sql: Sql, facts: StagedFact[]): Promise<void> {
  await sql`${insertRows(sql, REBUILT_FACTS, facts)} on conflict do nothing`;
}

export async function unstage(sql: Sql, rebuildId: string): Promise<void> {
  await sql`delete from rebuilt_facts where rebuild_id = ${rebuildId}`;
}

/** Nothing is counted until the transaction ends, by any way: facts that come wait for the inbox, facts that are tried again for the rows. */
export async function lockCounting(sql: Sql): Promise<void> {
  await lockInbox(sql);
  await sql`lock table counts, takings in exclusive mode`;
}

/** Ids of facts that were taken in and are not staged: of those whose ids lie in a span, and of those that came lately. */
export async function listUnstaged(
  sql: Sql,
  rebuildId: string,
  { first, end, since }: { first: string; end: string; since: Date },
  rowsMax: number,
): Promise<string[]> {
  const rows = await sql<{ message_id: string }[]>`
    select message_id from inbox i where (message_id >= ${first} and message_id < ${end} or seen_at >= ${since})
    and not exists (select from rebuilt_facts where rebuild_id = ${rebuildId} and event_id = i.message_id) limit ${rowsMax}`;
  return rows.map(({ message_id }) => message_id);
}

/** What is set aside here is not counted yet, or never: it is no part of a rebuild. */
export async function dropUncounted(sql: Sql, rebuildId: string): Promise<void> {
  await sql`
    delete from rebuilt_facts where rebuild_id = ${rebuildId} and (not inside or event_id in (
      select job_id from jobs where kind = 'fact' union all select parked_id from parked union all select parked_id from discarded))`;
}

/** Remembers what is staged, so that what is still to come of it is not counted again. */
export async function rememberStaged(sql: Sql, rebuildId: string, now: Date): Promise<void> {
  await sql`
    insert into inbox (bucket, message_id, seen_at) select bucket, event_id, ${now} from rebuilt_facts
    where rebuild_id = ${rebuildId} on conflict do nothing`;
}

/** Puts the sums of what is staged in the place of the rows of a span, and says how many rows were other. */
export async function replaceRows(
  sql: Sql,
  rebuildId: string,
  [start, end]: [Date, Date],
): Promise<{ facts: bigint; corrected: number }> {
  const staged = sql`rebuilt_facts where rebuild_id = ${rebuildId}`;
  const [counts] = await sql<{ facts: bigint; corrected: number }[]>`
    with fresh as (select at, type, count(*) as quantity from ${staged} group by at, type),
    stale as (delete from counts where at >= ${start} and at < ${end} returning at, type, quantity)
    select coalesce(sum(f.quantity), 0)::bigint as facts, (count(*) filter (where f.quantity is distinct from s.quantity))::int as corrected
    from fresh f full join stale s using (at, type)`;
  const [takings] = await sql<{ corrected: number }[]>`
    with fresh as (
      select at, kind, reason, currency_code, count(*) as quantity, sum(minor_units) as minor_units
      from ${staged} and kind is not null group by at, kind, reason, currency_code),
    stale as (delete from takings where at >= ${start} and at < ${end} returning *)
    select (count(*) filter (where (f.quantity, f.minor_units) is distinct from (s.quantity, s.minor_units)))::int as corrected
    from fresh f full join stale s using (at, kind, reason, currency_code)`;
  await sql`
    with added as (
      insert into takings select at, kind, reason, currency_code, count(*), sum(minor_units)
      from ${staged} and kind is not null group by at, kind, reason, currency_code)
    insert into counts select at, type, count(*) from ${staged} group by at, type`;
  return { facts: counts?.facts ?? 0n, corrected: (counts?.corrected ?? 0) + (takings?.corrected ?? 0) };
}
