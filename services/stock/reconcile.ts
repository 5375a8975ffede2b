import type { App } from "../../packages/service/app.ts";
import { compareBooks } from "./store.ts";

/** Adds up the whole ledger and compares it with the columns. Any difference is a bug, or a hand in the database: it is logged too. */
export async function reconcile(app: App) {
  const { checked, differences } = await compareBooks(app.sql);
  if (differences.length > 0) {
    app.log.error("stock.differs", new Error("the ledger and the columns differ"), { differences: differences.length });
  }
  return {
    productsChecked: checked,
    differences: differences.map(({ columnValue, ledgerValue, ...rest }) => ({
      ...rest,
      columnValue: BigInt(columnValue),
      ledgerValue: BigInt(ledgerValue),
    })),
  };
}
