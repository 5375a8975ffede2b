import type { Sql } from "./database.ts";
import { jobsBacklog } from "./jobs.ts";
import { outboxBacklog } from "./outbox.ts";

/** What waits in a service's database. */
export interface Backlog {
  /** Facts committed and not yet published, and since when. */
  outbox: bigint;
  outboxOldest: Date | null;
  /** Jobs whose time has come, and since when. */
  due: bigint;
  dueOldest: Date | null;
  /** Jobs for later. */
  scheduled: bigint;
  parked: bigint;
  /** When this was so, in business time. */
  asOf: Date;
}

export async function readBacklog(sql: Sql, now: Date): Promise<Backlog> {
  const [outbox, jobs] = await Promise.all([outboxBacklog(sql), jobsBacklog(sql, now)]);
  return {
    outbox: outbox.depth,
    outboxOldest: outbox.oldest,
    due: jobs.due,
    dueOldest: jobs.oldest,
    scheduled: jobs.scheduled,
    parked: jobs.parked,
    asOf: now,
  };
}
