import type { ReconcileRequest } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { sealLedger } from "../../packages/database/sealed-ledger.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { Schedule } from "../../packages/service/service.ts";
import { BOOKS, compareBooks } from "./compare-books.ts";

/** There are many accounts with few movements each: a seal soon, or most of the ledger would have none. */
const SEALING = { versionsMin: 10, versionsMax: 20_000, sealsMax: 100 };

/** Puts the seals forward, until each account has few entries after its own. */
export const SEAL: Schedule = {
  name: "seal-ledger",
  everyMs: 3_600_000,
  run: async ({ sql, clock }) => void (await sealLedger(sql, BOOKS, SEALING, clock.now())),
};

/** Compares the ledger, the columns and the holds. Any difference is a bug, or a hand in the database: it is logged too. */
export async function reconcile({ sql, log }: App, _caller: Caller, { whole }: ReconcileRequest, signal: AbortSignal) {
  const { checked, differences } = await compareBooks(sql, whole, signal);
  if (differences.length > 0)
    log.error("points.differ", new Error("ledger, columns and holds differ"), { differences: differences.length });
  return { accountsChecked: checked, differences };
}
