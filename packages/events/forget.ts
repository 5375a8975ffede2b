import type { Sql } from "../database/database.ts";
import { type Kept, until } from "../database/retention.ts";
import { sleep } from "../time/wait.ts";

/** Delivered facts stay readable this long for groups that come later. */
const RETENTION_MS = 7 * 86_400_000;
/** So long a group may be missing while others are served: then it is taken for one that is no more, and keeps nothing. */
const MISSING_HOURS_MAX = 30 * 24;
/** A retired group that comes back reads what is there once more: older than this only what another one fails at all the while. */
export const REPEAT_MS = MISSING_HOURS_MAX * 3_600_000;
const STEP_ROWS_MAX = 5_000;
const PAUSE_MS = 20;

/** The embedded broker's own tables, besides those that every database has. */
export const BROKER_KEEPS: Kept[] = [
  until("facts", "every group has handled them, for 7 days at least", "groups that come later read them"),
  until("fact_offsets", "their group was missing for 30 days while others were served", "where each group is"),
  until("queued", "their service has taken them", "the only place where they are"),
];

/** Removes facts that are old and that no group is still to hear, topic by topic, a little at a time; no more once `closing`. */
export async function forgetFacts(sql: Sql, before: Date, closing?: AbortSignal): Promise<void> {
  for (const topic of await topicsOf(sql))
    while (!closing?.aborted && (await forgetOldest(sql, topic, before)) === STEP_ROWS_MAX)
      await sleep(PAUSE_MS, closing);
}

/** Each found by one step in the index. */
async function topicsOf(sql: Sql): Promise<string[]> {
  const rows = await sql<{ topic: string }[]>`
    with recursive found as (
      select min(topic) as topic from facts
      union all select (select min(topic) from facts f where f.topic > found.topic) from found where topic is not null
    ) select topic from found where topic is not null`;
  return rows.map(({ topic }) => topic);
}

/** Reads no more than a step's rows, from the topic's oldest on. A group whose topics are silent stays where it is, and keeps nothing of the others. */
async function forgetOldest(sql: Sql, topic: string, before: Date): Promise<number> {
  const { count } = await sql`
    with oldest as materialized (
      select position, appended_at from facts
      where topic = ${topic} and position <= coalesce(
        (select min(position) from fact_offsets where ${topic} = any(topics)), (select max(position) from facts))
      order by position limit ${STEP_ROWS_MAX}
    )
    delete from facts where position = any(array(select position from oldest where appended_at < ${before}))`;
  return count;
}

export function forgetBefore(now: Date): Date {
  return new Date(now.getTime() - RETENTION_MS);
}

/** Counts, once an hour, who is missing: nobody reads for the group. Gives back the groups that were for too long, and are forgotten. */
export async function retireGroups(sql: Sql): Promise<string[]> {
  await sql`
    update fact_offsets set looked_at = clock_timestamp(), hours_missing = case
      when exists (select from leaders where name = 'group ' || consumer and held_until > clock_timestamp()) then 0
      else hours_missing + 1 end
    where looked_at is null or looked_at not between clock_timestamp() - interval '1 hour' and clock_timestamp()`;
  const rows = await sql<{ consumer: string }[]>`
    delete from fact_offsets where hours_missing > ${MISSING_HOURS_MAX} returning consumer`;
  return rows.map(({ consumer }) => consumer);
}
