import type { CancelImportRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { type Import, importMessage, importOver } from "./import.ts";
import { deleteContent, deleteRowsToDo, lockImport, saveImport } from "./import-store.ts";

/** Waits for the rows that are under way; the next ones find it cancelled. */
export async function cancelImport(app: App, caller: Caller, { importId, reason }: CancelImportRequest) {
  return app.transact(async (tx) => {
    const found = await lockImport(tx.sql, importId);
    if (!found) throw notFound("import", importId);
    if (found.status === "CANCELLED") return { import: importMessage(found) };
    if (found.status !== "RECEIVING" && found.status !== "RUNNING") throw importOver(found);
    const now = app.clock.now();
    const cancelled: Import = { ...found, status: "CANCELLED", finishedAt: now };
    await saveImport(tx.sql, cancelled, now);
    await deleteContent(tx.sql, importId);
    await deleteRowsToDo(tx.sql, importId);
    audit(app, tx, caller, { subject: importId, reason });
    return { import: importMessage(cancelled) };
  });
}
