import { type Backlog, readBacklog } from "../../database/backlog.ts";
import type { App } from "../app.ts";

/** What waits at all places of a service together. */
export async function backlogOf(app: App): Promise<Backlog> {
  const now = app.clock.now();
  const backlogs = await Promise.all(app.everywhere().map(({ sql }) => readBacklog(sql, now)));
  return backlogs.reduce((all, one) => ({
    outbox: all.outbox + one.outbox,
    outboxOldest: older(all.outboxOldest, one.outboxOldest),
    due: all.due + one.due,
    dueOldest: older(all.dueOldest, one.dueOldest),
    scheduled: all.scheduled + one.scheduled,
    parked: all.parked + one.parked,
    asOf: now,
  }));
}

function older(one: Date | null, other: Date | null): Date | null {
  if (!one || !other) return one ?? other;
  return one < other ? one : other;
}
