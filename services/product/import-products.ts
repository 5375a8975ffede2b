import { createHash } from "node:crypto";
import { Code } from "@connectrpc/connect";
import {
  ImportFormat,
  type ImportProductsRequest,
  ImportProductsResponseSchema,
} from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { ContinueImport } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound, refused } from "../../packages/service/errors.ts";
import { FILE_BYTES_MAX, type Import, importMessage, importOver } from "./import.ts";
import {
  dropAbandoned,
  findContent,
  findTwin,
  insertImport,
  insertPart,
  lockImport,
  saveImport,
} from "./import-store.ts";

/** A file whose next part has not come by then will not be finished. */
const ABANDONED_MS = 24 * 3_600_000;

/** Takes a part of a file; with the last one the work begins. */
export async function importProducts(app: App, caller: Caller, req: ImportProductsRequest) {
  return app.transactOnce(caller, ImportProductsResponseSchema, req, async (tx) => {
    const now = app.clock.now();
    const found = req.importId ? await lockImport(tx.sql, req.importId) : newImport(app.random.id(), caller, req, now);
    if (!found) throw notFound("import", req.importId);
    refuseOtherPart(found, req);
    if (!req.importId) {
      await dropAbandoned(tx.sql, new Date(now.getTime() - ABANDONED_MS));
      await insertImport(tx.sql, found);
    }
    await insertPart(tx.sql, found, req.content);
    const bytes = found.bytes + req.content.length;
    const received: Import = { ...found, bytes, parts: found.parts + 1, status: req.more ? "RECEIVING" : "RUNNING" };
    await saveImport(tx.sql, received, now);
    if (!req.more) {
      const { importId, fileName } = received;
      const sha256 = createHash("sha256")
        .update(await findContent(tx.sql, importId))
        .digest();
      const twin = await findTwin(tx.sql, importId, sha256);
      if (twin && !req.again) throw importedBefore(twin);
      tx.enqueue(ContinueImport, { importId });
      audit(app, tx, caller, { subject: importId, detail: `${fileName} ${bytes} bytes`.trim() });
    }
    return { import: importMessage(received) };
  });
}

function newImport(
  importId: string,
  { userId }: Caller,
  { format, fileName }: ImportProductsRequest,
  now: Date,
): Import {
  return {
    importId,
    status: "RECEIVING",
    format: format === ImportFormat.CSV ? "CSV" : "JSON_LINES",
    fileName,
    bytes: 0,
    parts: 0,
    rowsTotal: null,
    rowsCreated: 0,
    rowsUnchanged: 0,
    rowsRefused: 0,
    error: "",
    actor: userId,
    createdAt: now,
    finishedAt: null,
  };
}

function refuseOtherPart(found: Import, { part, format, content }: ImportProductsRequest) {
  if (found.status !== "RECEIVING") throw importOver(found);
  if (ImportFormat[found.format] !== format)
    throw invalidField("format", `expected ${found.format} as in the part before, found another`);
  if (part !== found.parts) throw invalidField("part", `expected part ${found.parts} to come next, found ${part}`);
  const bytes = found.bytes + content.length;
  if (bytes > FILE_BYTES_MAX) {
    throw refused(
      Code.ResourceExhausted,
      "IMPORT_TOO_LARGE",
      `expected a file of at most ${FILE_BYTES_MAX} bytes, found ${bytes} or more: split it`,
    );
  }
}

function importedBefore({ importId, status, createdAt }: Import) {
  return refused(
    Code.AlreadyExists,
    "FILE_IMPORTED_BEFORE",
    `expected a file that is new, found that of import ${importId} of ${createdAt.toISOString()}, which is ${status}: ask with again to import it once more`,
  );
}
