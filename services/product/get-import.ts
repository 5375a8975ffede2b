import type { GetImportRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { readPage } from "../../packages/service/paging.ts";
import { importMessage } from "./import.ts";
import { findImport, findProblems } from "./import-store.ts";

export async function getImport(app: App, _caller: Caller, req: GetImportRequest) {
  const { importId } = req;
  const found = await findImport(app.sql, importId);
  if (!found) throw notFound("import", importId);
  const { page, nextPageToken } = await readPage(
    req,
    { importId },
    (after, rowsMax) => findProblems(app.sql, importId, after, rowsMax),
    ({ line }) => String(line),
    (text) => /^\d{1,9}$/.test(text),
  );
  return { import: importMessage(found), problems: page, nextPageToken };
}
