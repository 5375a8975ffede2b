import type { Sql } from "./database.ts";
import { rowsOf, table } from "./table.ts";

const HEARING = table("hearing", { type: "text", topic: "text" });

/** Facts of one type, and where they come from. */
export interface Heard {
  type: string;
  topic: string;
}

/** Notes that a process hears these facts, now. */
export async function tellHearing(sql: Sql, heard: Heard[]): Promise<void> {
  const rows = heard.map(({ type, topic }) => ({ type, topic })).toSorted((a, b) => (a.type < b.type ? -1 : 1));
  await sql`
    insert into hearing (type, topic, seen_at)
    select type, topic, clock_timestamp() from ${rowsOf(sql, HEARING, rows)} as heard
    on conflict (type) do update set topic = excluded.topic, seen_at = excluded.seen_at`;
}

/** What some process has said lately that it hears, in one order. */
export async function listHearing(sql: Sql, latelyMs: number): Promise<Heard[]> {
  return sql<Heard[]>`
    select type, topic from hearing where seen_at > clock_timestamp() - ${latelyMs} * interval '1 millisecond' order by type`;
}
