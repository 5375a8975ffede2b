import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ProductUnarchived } from "../../packages/api/facts.ts";
import type { UnarchiveProductRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { apply, next, shared } from "./product.ts";
import { showProduct } from "./show-products.ts";
import { insertEvent, lockProduct, saveProduct } from "./store.ts";

/** Its SKU has been kept for it, and stock has gone on counting it. */
export async function unarchiveProduct(app: App, caller: Caller, { productId }: UnarchiveProductRequest) {
  return app.transact(async (tx) => {
    const current = await lockProduct(tx.sql, productId);
    if (!current) throw notFound("product", productId);
    if (!current.archived) return { product: await showProduct(app, tx.sql, current, current.available) };
    const unarchived = next(current, "product.unarchived", {}, app.clock.now());
    const product = apply(current, unarchived);
    if (!(await saveProduct(tx.sql, product))) throw new Error(`product ${productId} changed while it was locked`);
    insertEvent(tx, { ...unarchived, actor: caller.userId, traceId: tx.context.traceId });
    tx.emit(ProductUnarchived, { ...shared(product), unarchivedAt: timestampFromDate(unarchived.at) });
    audit(app, tx, caller, { subject: productId });
    return { product: await showProduct(app, tx.sql, product, current.available) };
  });
}
