import { fromJsonString } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { ContinueImport as Continue } from "../../packages/api/gen/bodega/product/v1/events_pb.ts";
import { CreateProductRequestSchema, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { ContinueImport } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { validate } from "../../packages/service/wire/rpc.ts";
import { addProduct } from "./create-product.ts";
import { differences, type Import } from "./import.ts";
import { type FileRow, readFile, UnreadableFile } from "./import-file.ts";
import {
  deleteContent,
  deleteRows,
  findContent,
  findRowsToDo,
  insertFileRows,
  lockImport,
  saveImport,
  saveOutcomes,
} from "./import-store.ts";
import { type Draft, refuseUnknownCurrency } from "./product.ts";
import { findProductBySku } from "./store.ts";

const ROWS_AT_ONCE = 100;
const ROWS_READ_AT_ONCE = 500;

/**
 * One step of an import: its rows, what became of them and the job for the next step are one commit. Who dies in it has done nothing, and the job is
 * there still; a second worker waits for the import's lock, and then goes on from where the first one came to.
 */
export async function continueImport(app: App, { body, tx }: Message<Continue>): Promise<void> {
  const found = await lockImport(tx.sql, body.importId);
  if (!found) throw notFound("import", body.importId);
  if (found.status !== "RUNNING") return;
  const next = found.rowsTotal === null ? await readRows(tx, found) : await shelveRows(app, tx, found);
  const now = app.clock.now();
  const over = next.status !== "RUNNING";
  await saveImport(tx.sql, over ? { ...next, finishedAt: now } : next, now);
  if (!over) tx.enqueue(ContinueImport, { importId: next.importId });
}

/** The file as rows that are to be looked at. One that cannot be read as a whole leaves none. */
async function readRows(tx: Tx, found: Import): Promise<Import> {
  const { importId, format } = found;
  const content = await findContent(tx.sql, importId);
  await deleteContent(tx.sql, importId);
  let [rowsTotal, rowsRefused] = [0, 0];
  let batch: FileRow[] = [];
  const keep = async () => {
    await insertFileRows(tx.sql, importId, batch);
    rowsTotal += batch.length;
    rowsRefused += batch.filter(({ problem }) => problem !== null).length;
    batch = [];
  };
  try {
    for await (const row of readFile(format, content)) {
      batch.push(row);
      if (batch.length === ROWS_READ_AT_ONCE) await keep();
    }
    await keep();
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    await deleteRows(tx.sql, importId);
    return { ...found, status: "FAILED", error: error.message };
  }
  return { ...found, rowsTotal, rowsRefused, status: rowsRefused === rowsTotal ? "DONE" : "RUNNING" };
}

/** Rows as products, those whose SKU is new. */
async function shelveRows(app: App, tx: Tx, found: Import): Promise<Import> {
  const rows = (await findRowsToDo(tx.sql, found.importId, ROWS_AT_ONCE)).map(readRow);
  let { rowsTotal, rowsCreated, rowsUnchanged, rowsRefused } = found;
  const outcomes: Outcome[] = rows.flatMap(({ line, problem }) => (problem === undefined ? [] : { line, problem }));
  const drafts = rows.flatMap(({ line, draft }) => (draft ? { line, draft } : []));
  // By SKU: imports side by side wait for each other, never in a circle.
  for (const { line, draft } of drafts.toSorted((a, b) => (a.draft.sku < b.draft.sku ? -1 : 1))) {
    const added = await addProduct(app, tx, draft, found.actor);
    const problem = added ? null : await refuseUnlike(tx, draft);
    outcomes.push({ line, problem });
    if (added) rowsCreated += 1;
    else if (problem === null) rowsUnchanged += 1;
  }
  rowsRefused += outcomes.filter(({ problem }) => problem !== null).length;
  await saveOutcomes(tx.sql, found.importId, outcomes);
  const over = rowsCreated + rowsUnchanged + rowsRefused === rowsTotal;
  return { ...found, rowsCreated, rowsUnchanged, rowsRefused, status: over ? "DONE" : "RUNNING" };
}

interface Outcome {
  line: number;
  /** Null for a row that is on the shelf. */
  problem: string | null;
}

/** A row as CreateProduct would take it, or why it would not. */
function readRow({ line, json }: { line: number; json: string }): { line: number; draft?: Draft; problem?: string } {
  try {
    const asked = fromJsonString(CreateProductRequestSchema, json);
    asked.requestId = "import";
    validate(ProductService.method.createProduct, asked);
    const { sku, name, description, price, collections, prepared, initialStock } = asked;
    if (!price) throw new Error("price: expected a price, found none");
    refuseUnknownCurrency(price);
    return { line, draft: { sku, name, description, price, collections, prepared, initialStock } };
  } catch (error) {
    return { line, problem: error instanceof ConnectError ? error.rawMessage : String(error) };
  }
}

/** Of a row whose SKU is on the shelf: what it says otherwise, or null. */
async function refuseUnlike({ sql }: Tx, draft: Draft): Promise<string | null> {
  const product = await findProductBySku(sql, draft.sku);
  if (!product) throw new Error(`the SKU ${draft.sku} is taken, and no product has it`);
  const others = product.archived ? ["archived"] : differences(draft, product);
  if (others.length === 0) return null;
  return `sku: expected a new SKU, or a product on the shelf like the row; found ${product.productId}, which differs: ${others.join(", ")}`;
}
