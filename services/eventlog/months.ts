import type { Sql } from "../../packages/database/database.ts";
import { insertRows, table } from "../../packages/database/table.ts";
import type { Place } from "./chain.ts";
import { CHECKPOINTS, monthOf } from "./store.ts";

const SEALS = table("seals", { month: "date", ...CHECKPOINTS.columns });

/** Makes room for a month's events. Theirs are the same rights as the whole journal's. */
export async function openMonth(sql: Sql, month: string): Promise<void> {
  const partition = tableOf(month);
  // Identifiers and bounds cannot be parameters here; tableOf has checked the month.
  await sql.unsafe(`
    create table if not exists ${partition} partition of events for values from ('${month}') to ('${addMonths(month, 1)}');
    revoke update, delete, truncate on ${partition} from current_user;
    create or replace trigger append_only before truncate on ${partition} for each statement execute function refuse_change();`);
}

/** Drops the months before `oldest`, and keeps the place where each of them ended. */
export async function dropMonths(sql: Sql, oldest: string, sign: (place: Place) => Uint8Array): Promise<string[]> {
  const months = (await monthsKept(sql)).filter((month) => month < oldest);
  for (const month of months) {
    const partition = tableOf(month);
    const [last] = await sql<Place[]>`
      select sequence, hash, recorded_at from ${sql(partition)} order by sequence desc limit 1`;
    if (last) {
      const row = { ...last, month, signature: sign(last) };
      await insertRows(sql, SEALS, [row]);
    }
    await sql`drop table ${sql(partition)}`;
  }
  return months;
}

/** Those that have a table, oldest first. */
export async function monthsKept(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass order by 1`;
  return rows.map(({ name }) => `${name.slice("events_".length).replace("_", "-")}-01`);
}

export function addMonths(month: string, months: number): string {
  const at = new Date(`${month}T00:00:00Z`);
  at.setUTCMonth(at.getUTCMonth() + months);
  return monthOf(at);
}

function tableOf(month: string): string {
  if (!/^\d{4}-\d{2}-01$/.test(month)) throw new Error(`expected a month such as 2026-01-01, found ${month}`);
  return `events_${month.slice(0, 7).replace("-", "_")}`;
}
