import type { ReconcileRequest } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import {
  type Books,
  compareColumns,
  type Difference,
  ownersOf,
  sealLedger,
} from "../../packages/database/sealed-ledger.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { Schedule } from "../../packages/service/service.ts";

export const BOOKS: Books = {
  owner: "product_id",
  columns: "stock_items",
  ledger: "stock_ledger",
  seals: "stock_seals",
  sums: { on_hand: "sum(on_hand_delta)", reserved: "sum(reserved_delta)" },
};
/** So a comparison reads few entries of any product, and sealing one step of it takes a moment. */
const SEALING = { versionsMin: 1_000, versionsMax: 20_000, sealsMax: 20 };

/** Puts the seals forward, until each product has few entries after its own. */
export const SEAL: Schedule = {
  name: "seal-ledger",
  everyMs: 10 * 60_000,
  run: async ({ sql, clock }) => void (await sealLedger(sql, BOOKS, SEALING, clock.now())),
};

/**
 * Adds up the ledger from each product's seal on and compares it with the columns; when asked for the whole, all of it, and the seals too. Any difference is a bug, or
 * a hand in the database: it is logged too.
 */
export async function reconcile({ sql, log }: App, _caller: Caller, { whole }: ReconcileRequest, signal: AbortSignal) {
  const differences: Difference[] = [];
  let productsChecked = 0;
  for await (const productIds of ownersOf(sql, BOOKS, signal)) {
    differences.push(...(await compareColumns(sql, BOOKS, productIds, whole)));
    productsChecked += productIds.length;
  }
  if (differences.length > 0)
    log.error("stock.differs", new Error("the ledger and the columns differ"), { differences: differences.length });
  return {
    productsChecked,
    differences: differences.map(({ id, what, expected, found }) => {
      return { productId: id, column: what, columnValue: found, ledgerValue: expected };
    }),
  };
}
