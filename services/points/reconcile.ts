import type { App } from "../../packages/service/app.ts";
import { compareBooks } from "./store.ts";

/** Adds up all books and compares them. Any difference is a bug, or a hand in the database: it is logged too. */
export async function reconcile(app: App) {
  const { checked, differences } = await compareBooks(app.sql);
  if (differences.length > 0)
    app.log.error("points.differ", new Error("ledger, columns and holds differ"), { differences: differences.length });
  return { accountsChecked: checked, differences };
}
