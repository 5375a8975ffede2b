import { INBOX_DAYS } from "../../database/inbox.ts";
import { forDays, forever, type Kept, prune, until } from "../../database/retention.ts";
import type { App } from "../app.ts";
import type { Schedule } from "../service.ts";

/** For so long a service may be behind with what it hears when everything is set back, and misses nothing. */
const TOLD_DAYS = 1;

/** The tables that every service has. */
export const ENGINE_KEEPS: Kept[] = [
  until("outbox", "published", "facts on their way"),
  forDays(INBOX_DAYS, "inbox", { column: "seen_at" }, "longer than any broker may deliver a message again"),
  until("jobs", "done", "timers, and what is tried again"),
  until("parked", "replayed or discarded", "a person decides"),
  ...["told_facts", "told_jobs"].map((table) =>
    forDays(TOLD_DAYS, table, { column: "told_at" }, "where a backup is kept: a restored database tells it again"),
  ),
  forDays(365, "discarded", { column: "discarded_at" }, "who gave up a message, and why"),
  forDays(30, "idempotency", { column: "created_at" }, "a request that is repeated later is a new one"),
  forever("leaders", "a row for each thing that one process does"),
  forever("hearing", "a row for each type of fact"),
  forever("migrations", "a row a migration"),
];

const DAY_MS = 86_400_000;

/** Every service has it. */
export function maintenanceOf(kept: Kept[] = []): Schedule {
  return {
    name: "maintenance",
    everyMs: 10 * 60_000,
    run: async (app) => {
      for (const { sql } of app.everywhere()) await forgetOld({ ...app, sql }, [...ENGINE_KEEPS, ...kept]);
    },
  };
}

/** Removes what has been kept long enough. A table that fails does not keep the others from it. */
export async function forgetOld({ sql, clock, log }: Pick<App, "sql" | "clock" | "log">, kept: Kept[]): Promise<void> {
  const now = clock.now().getTime();
  for (const { table, prune: how } of kept) {
    if (!how) continue;
    try {
      // Days of real time, so that business time that runs faster forgets no sooner: brokers, providers and people do not run faster.
      // Where it runs fast enough, that is before any time that the database or an id can tell.
      const before = new Date(Math.max(0, 2 * now - clock.soon(how.days * DAY_MS).getTime()));
      const removed = await prune(sql, table, how, before);
      if (removed > 0) log.info("maintenance.removed", { table, rows: removed });
    } catch (error) {
      log.error("maintenance.failed", error, { table });
    }
  }
}
