import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ProductArchived } from "../../packages/api/facts.ts";
import type { ArchiveProductRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { apply, next } from "./product.ts";
import { showProduct } from "./show-products.ts";
import { insertEvent, lockProduct, saveProduct } from "./store.ts";

export async function archiveProduct(app: App, caller: Caller, { productId }: ArchiveProductRequest) {
  return app.transact(async (tx) => {
    // Locked: archiving names no version, so it waits for an update under way instead of losing to it.
    const current = await lockProduct(tx.sql, productId);
    if (!current) throw notFound("product", productId);
    if (current.archived) return { product: await showProduct(app, tx.sql, current, current.available) };
    const archived = next(current, "product.archived", {}, app.clock.now());
    const product = apply(current, archived);
    if (!(await saveProduct(tx.sql, product))) throw new Error(`product ${productId} changed while it was locked`);
    insertEvent(tx, { ...archived, actor: caller.userId, traceId: tx.context.traceId });
    tx.emit(ProductArchived, {
      productId: product.productId,
      version: product.version,
      archivedAt: timestampFromDate(archived.at),
    });
    audit(app, tx, caller, { subject: productId });
    return { product: await showProduct(app, tx.sql, product, current.available) };
  });
}
