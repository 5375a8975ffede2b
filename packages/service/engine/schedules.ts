import type { Database } from "../../database/database.ts";
import { lead } from "../../database/leader.ts";
import { createBell } from "../../time/bell.ts";
import type { App } from "../app.ts";
import type { Schedule } from "../service.ts";

/** Runs each schedule in one process of the service at a time: the first time soon after its start, then every so often, also after a run that failed. */
export function startSchedules(app: App, schedules: Schedule[], database: Database) {
  const running = schedules.map((schedule) => {
    const bell = createBell();
    const ended = lead(database, `schedule ${schedule.name}`, bell, app.log, async (term) => {
      while (term.alive()) {
        await runOnce(app, schedule);
        await bell.rung(schedule.everyMs);
      }
    });
    return { bell, ended };
  });
  return {
    async close() {
      for (const { bell } of running) bell.close();
      await Promise.all(running.map(({ ended }) => ended));
    },
  };
}

/** A run that fails is told, and is not the last. */
async function runOnce(app: App, { name, run }: Schedule): Promise<void> {
  try {
    await run(app);
  } catch (error) {
    app.log.error("schedule.failed", error, { schedule: name });
  }
}
