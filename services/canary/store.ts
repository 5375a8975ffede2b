import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
import { rowsOf, table } from "../../packages/database/table.ts";
import type { Sum } from "./sum.ts";

const SUMS = table("sums", {
  sum_id: "uuid",
  a: "bigint",
  b: "bigint",
  sum: "bigint",
  instance: "text",
  calculated_at: "timestamptz",
});
const ARRIVALS = table("arrivals", { sum_id: "uuid", sum: "bigint" });

export function insertSum(tx: Recording, { sumId, a, b, sum, instance, calculatedAt }: Sum): void {
  tx.insert(SUMS, { sum_id: sumId, a, b, sum, instance, calculated_at: calculatedAt });
}

/** A sum that is there already has come once more. */
export async function insertArrivals(sql: Sql, sums: Pick<Sum, "sumId" | "sum">[], arrivedAt: Date): Promise<void> {
  const rows = sums.map(({ sumId, sum }) => ({ sum_id: sumId, sum }));
  await sql`
    insert into arrivals (sum_id, sum, times, arrived_at)
    select sum_id, min(sum), count(*), ${arrivedAt} from ${rowsOf(sql, ARRIVALS, rows)} as arrived
    group by sum_id order by sum_id
    on conflict (sum_id) do update set times = arrivals.times + excluded.times`;
}

/** Both books beside each other. */
export interface Totals {
  acknowledged: bigint;
  delivered: bigint;
  missing: bigint;
  duplicated: bigint;
  acknowledged_total: string;
  delivered_total: string;
  /** When the oldest of the missing was calculated. */
  oldest: Date | null;
}

export async function compareBooks(sql: Sql): Promise<Totals> {
  const [totals] = await sql<Totals[]>`
    select min(t.sums) + count(s.sum_id) as acknowledged,
      min(t.sums) + count(*) filter (where s.sum_id is not null and a.sum_id is not null) as delivered,
      count(*) filter (where s.sum_id is not null and a.sum_id is null) as missing,
      coalesce(sum(a.times - 1), 0)::bigint + count(*) filter (where s.sum_id is null and a.sum_id is not null) as duplicated,
      (min(t.total) + coalesce(sum(s.sum), 0))::text as acknowledged_total,
      (min(t.total) + coalesce(sum(a.sum::numeric * a.times), 0))::text as delivered_total,
      min(s.calculated_at) filter (where a.sum_id is null) as oldest
    from settled t left join (sums s full join arrivals a using (sum_id)) on true`;
  if (!totals) throw new Error("expected one row of totals, found none");
  return totals;
}

export async function hasArrived(sql: Sql, sumId: string): Promise<boolean> {
  return (await sql`select from arrivals where sum_id = ${sumId}`).length > 0;
}

/** Counts sums of before a time that were delivered once and whole, and forgets them; returns how many. */
export async function settleSums(sql: Sql, before: Date, rowsMax: number): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with whole as (
      select sum_id, s.sum from sums s join arrivals a using (sum_id)
      where s.calculated_at < ${before} and a.times = 1 and a.sum = s.sum limit ${rowsMax}
    ), near as (delete from sums using whole where sums.sum_id = whole.sum_id returning sums.sum),
    far as (delete from arrivals using whole where arrivals.sum_id = whole.sum_id),
    added as (update settled set sums = sums + (select count(*) from near), total = total + (select coalesce(sum(sum), 0) from near))
    select count(*)::int as count from near`;
  return row?.count ?? 0;
}
