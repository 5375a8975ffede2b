import { attend } from "../../database/attendance.ts";
import type { Database } from "../../database/database.ts";
import type { Log } from "../../telemetry/log.ts";
import { sleep } from "../../time/wait.ts";

/** How long messages are counted after a process was lost: longer than it takes until those it had under way come again. */
const CAREFUL_MS = 60_000;

export interface CrashGuard {
  careful(): boolean;
  close(): Promise<void>;
}

/**
 * A message that ends the process comes again when there is a new one. To count that before each message would cost a statement each; so it is done only for
 * a while after a process of this service has ended without a farewell (docs/decisions/0029-a-message-that-kills.md).
 */
export async function guardAfterCrash(database: Database, log: Log, carefulMs = CAREFUL_MS): Promise<CrashGuard> {
  const attendance = await attend(database, log);
  const closing = new AbortController();
  let careful = attendance.lost.length > 0;
  const passing = careful ? pass() : Promise.resolve();
  if (careful) log.warn("process.lost", { count: attendance.lost.length, careful_ms: carefulMs });

  async function pass() {
    await sleep(carefulMs, closing.signal);
    if (closing.signal.aborted) return;
    careful = false;
    await attendance.forget().catch((error: unknown) => log.warn("process.unforgotten", { error: String(error) }));
  }

  return {
    careful: () => careful,
    async close() {
      closing.abort();
      await passing;
      await attendance.leave();
    },
  };
}
