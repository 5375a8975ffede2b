import type { App } from "../../packages/service/app.ts";
import { settleSums } from "./store.ts";

/** A delivery that comes again after this long is one that nobody was answered any more: still found. */
const KEPT_MS = 3_600_000;
const ROWS_MAX = 10_000;

/** Forgets, but for their count and total, sums that came out as they went in. */
export async function settleOldSums(app: App): Promise<void> {
  const before = new Date(app.clock.now().getTime() - KEPT_MS);
  while ((await settleSums(app.sql, before, ROWS_MAX)) === ROWS_MAX);
}
