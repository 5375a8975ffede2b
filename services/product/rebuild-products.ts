import type { RebuildProductsRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { fold, type Product } from "./product.ts";
import { findEventsOf, findProductIds, findUnknownToStock, lockProducts, putProduct, saveAvailable } from "./store.ts";

const STOCK_MS = 3_000;

interface Difference {
  productId: string;
  fields: string[];
}

/**
 * One page of products, in one transaction. Their rows are locked before their streams are read, so whoever writes one has committed both or waits;
 * a row that is not there cannot be written either.
 */
export async function rebuildProducts(app: App, caller: Caller, req: RebuildProductsRequest) {
  const { page, nextPageToken } = await readPage(
    req,
    {},
    (after, rowsMax) => findProductIds(app.sql, after, rowsMax),
    (productId) => productId,
  );
  const differences = await app.transact(async (tx) => {
    const kept = await lockProducts(tx.sql, page);
    const streams = await findEventsOf(tx.sql, page);
    const found: Difference[] = [];
    for (const productId of page) {
      const product = fold(streams.get(productId) ?? []);
      const fields = differing(kept.get(productId), product);
      if (fields.length > 0) found.push({ productId, fields });
      if (fields.length > 0 && product) await putProduct(tx.sql, product);
    }
    const span = `${page.at(0) ?? "none"} to ${page.at(-1) ?? "none"}`;
    const detail = `${page.length} compared, ${found.length} differed`;
    audit(app, tx, caller, { subject: span, reason: req.reason, detail });
    return found;
  });
  await askStock(app, page);
  return { compared: page.length, differences, nextPageToken };
}

function differing(kept: Product | undefined, product: Product | undefined): string[] {
  if (!product) return kept ? ["events"] : [];
  if (!kept) return ["row"];
  const said = new Map(Object.entries(product));
  return Object.entries(kept).flatMap(([field, value]) => (Bun.deepEquals(value, said.get(field)) ? [] : [field]));
}

/** What a row that is new can be sold of; whatever stock tells meanwhile is newer. */
async function askStock(app: App, page: string[]) {
  const productIds = await findUnknownToStock(app.sql, page);
  if (productIds.length === 0) return;
  const asked = { lines: productIds.map((productId) => ({ productId, quantity: 0 })) };
  const { lines } = await app.call(StockService).checkAvailability(asked, { timeoutMs: STOCK_MS });
  await app.transact(({ sql }) =>
    saveAvailable(
      sql,
      lines.map(({ productId, available }) => ({ product_id: productId, available, version: 0n })),
    ),
  );
}
