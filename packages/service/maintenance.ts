import { pruneInbox } from "../database/inbox.ts";
import type { App } from "./app.ts";
import { sleep } from "./clock.ts";

const EVERY_MS = 10 * 60_000;
/** Longer than any broker keeps a message. */
const INBOX_DAYS = 30;
/** A client that repeats a request later than this makes a new one. */
const KEY_DAYS = 30;
const DAY_MS = 86_400_000;

/** Forgets what no redelivery and no retry can ask for any more. */
export function createMaintenance(app: App): { close(): Promise<void> } {
  const stop = new AbortController();
  async function run() {
    for (;;) {
      await sleep(EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      const now = app.clock.now().getTime();
      try {
        await pruneInbox(app.sql, new Date(now - INBOX_DAYS * DAY_MS));
        await app.sql`delete from idempotency where created_at < ${new Date(now - KEY_DAYS * DAY_MS)}`;
      } catch (error) {
        app.log.error("maintenance.failed", error);
      }
    }
  }
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
