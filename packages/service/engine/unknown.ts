import { type Known, listUnknown } from "../../database/jobs.ts";
import { discardParked, parkJob } from "../../database/parked.ts";
import type { App } from "../app.ts";
import type { Schedule } from "../service.ts";

/** Longer than any upgrade goes on, or is undone and done again. */
const KEPT_MS = 86_400_000;
const ROWS_MAX = 1_000;

/**
 * Gives up what has been due for a day of real time, and no process knows. A job is parked: somebody asked for it. A fact that nobody hears any more is discarded, as it
 * would be passed over today: parked, it would hold up all later ones of its key.
 */
export function givingUpUnknown(known: () => Known): Schedule {
  return { name: "unknown messages", everyMs: 10 * 60_000, run: (app) => giveUpUnknown(app, known()) };
}

export async function giveUpUnknown(app: App, known: Known): Promise<void> {
  for (const place of app.everywhere()) {
    const now = app.clock.now();
    const before = new Date(2 * now.getTime() - app.clock.soon(KEPT_MS).getTime());
    for (const row of await listUnknown(place.sql, known, before, ROWS_MAX)) {
      const error = `${app.service} has no version that knows ${row.type}`;
      await place.transact(async ({ sql }) => {
        if (!(await parkJob(sql, row, { error, attempts: row.attempts }, now))) return;
        if (row.kind === "fact") await discardParked(sql, [row.id], app.service, error, now);
      });
      app.log.warn("message.unknown", { kind: row.kind, type: row.type, key: row.key, message_id: row.id });
    }
  }
}
