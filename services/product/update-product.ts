import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { ProductUpdated } from "../../packages/api/facts.ts";
import type { UpdateProductRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, notFound, refused } from "../../packages/service/errors.ts";
import { apply, type Changes, moneyJson, next, type Product, refuseUnknownCurrency, shared } from "./product.ts";
import { showProduct } from "./show-products.ts";
import { findProduct, insertEvent, saveProduct } from "./store.ts";

export async function updateProduct(app: App, caller: Caller, req: UpdateProductRequest) {
  if (req.clearCollections && req.collections.length > 0) {
    throw invalidField("collections", "expected none beside clear_collections, found some");
  }
  if (req.price) refuseUnknownCurrency(req.price);
  return app.transact(async (tx) => {
    const current = await findProduct(tx.sql, req.productId);
    refuseUnlessCurrent(current, req);
    const changes = changesIn(req, current);
    if (Object.keys(changes).length === 0) {
      throw invalidField("", "expected at least one field that differs from the product, found none");
    }
    const updated = next(current, "product.updated", changes, app.clock.now());
    const product = apply(current, updated);
    if (!(await saveProduct(tx.sql, product))) {
      // Another update committed since the read above: what it left is what was found.
      refuseUnlessCurrent(await findProduct(tx.sql, req.productId), req);
      throw new Error(`product ${req.productId} kept version ${req.expectedVersion} but could not be saved`);
    }
    insertEvent(tx, { ...updated, actor: caller.userId, traceId: tx.context.traceId });
    tx.emit(ProductUpdated, { ...shared(product), updatedAt: timestampFromDate(product.updatedAt) });
    audit(app, tx, caller, { subject: product.productId, detail: Object.keys(changes).join() });
    return { product: await showProduct(app, tx.sql, product, current.available) };
  });
}

function refuseUnlessCurrent(product: Product | undefined, req: UpdateProductRequest): asserts product {
  if (!product) throw notFound("product", req.productId);
  if (product.archived) {
    throw refused(
      Code.FailedPrecondition,
      "PRODUCT_ARCHIVED",
      `expected a product on the shelf, found ${req.productId} archived`,
    );
  }
  if (product.version !== req.expectedVersion) {
    throw refused(
      Code.Aborted,
      "STALE_VERSION",
      `product ${req.productId}: expected version ${req.expectedVersion}, found ${product.version}: read it again`,
    );
  }
}

/** The fields of the request that say something new. */
function changesIn(req: UpdateProductRequest, current: Product): Changes {
  const changes: Changes = {};
  const { name, description, price, prepared } = req;
  const collections = req.clearCollections || req.collections.length > 0 ? req.collections : undefined;
  if (name !== undefined && name !== current.name) changes.name = name;
  if (description !== undefined && description !== current.description) changes.description = description;
  if (price && (price.currencyCode !== current.currencyCode || price.minorUnits !== current.priceMinorUnits)) {
    changes.price = moneyJson(price);
  }
  if (prepared !== undefined && prepared !== current.prepared) changes.prepared = prepared;
  if (collections && !Bun.deepEquals(collections, current.collections)) changes.collections = collections;
  return changes;
}
