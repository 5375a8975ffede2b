import { type Kept, sizesOf } from "../../database/retention.ts";
import type { App } from "../app.ts";

/** A scrape every few seconds must not cost a look at every file of a database. */
const LOOK_EVERY_MS = 60_000;

/** Shows how large each table on the list is, as it was at most a minute before the scrape. A database that cannot be asked shows nothing. */
export function showSizes(
  { service, sql, metrics, log }: Pick<App, "service" | "sql" | "metrics" | "log">,
  kept: Kept[],
  nowMs = () => performance.now(),
): void {
  const tables = kept.map(({ table }) => table);
  let lookedAt = Number.NEGATIVE_INFINITY;
  metrics.onScrape(async () => {
    if (nowMs() - lookedAt < LOOK_EVERY_MS) return;
    lookedAt = nowMs();
    try {
      for (const { table, bytes, rows } of await sizesOf(sql, tables)) {
        metrics.tableBytes.set({ service, table }, bytes);
        metrics.tableRows.set({ service, table }, rows);
      }
    } catch (error) {
      log.warn("sizes.unmeasured", { message: String(error) });
      for (const table of tables) {
        metrics.tableBytes.remove({ service, table });
        metrics.tableRows.remove({ service, table });
      }
    }
  });
}
