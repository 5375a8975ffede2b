import { jobsBacklog } from "../database/jobs.ts";
import { outboxBacklog } from "../database/outbox.ts";
import type { App } from "./app.ts";

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
}

export async function readBacklog({ sql, clock }: Pick<App, "sql" | "clock">): Promise<Backlog> {
  const [outbox, jobs] = await Promise.all([outboxBacklog(sql), jobsBacklog(sql, clock.now())]);
  return {
    outbox: outbox.depth,
    outboxOldest: outbox.oldest,
    due: jobs.due,
    dueOldest: jobs.oldest,
    scheduled: jobs.scheduled,
    parked: jobs.parked,
  };
}
