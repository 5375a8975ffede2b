import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { ProductCreated } from "../../packages/api/facts.ts";
import {
  type CreateProductRequest,
  CreateProductResponseSchema,
} from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, refused } from "../../packages/service/errors.ts";
import {
  apply,
  changesOf,
  type Draft,
  type Happening,
  type Product,
  refuseUnknownCurrency,
  shared,
} from "./product.ts";
import { showProduct } from "./show-products.ts";
import { insertEvent, insertProduct } from "./store.ts";

export async function createProduct(app: App, caller: Caller, req: CreateProductRequest) {
  const { sku, name, description, price, collections, prepared, initialStock } = req;
  if (!price) throw invalidField("price", "expected a price, found none");
  refuseUnknownCurrency(price);
  const draft = { sku, name, description, price, collections, prepared, initialStock };
  return app.transactOnce(caller, CreateProductResponseSchema, req, async (tx) => {
    const product = await addProduct(app, tx, draft, caller.userId);
    if (!product) throw refused(Code.AlreadyExists, "SKU_TAKEN", `expected a new SKU, found a product with ${sku}`);
    audit(app, tx, caller, { subject: product.productId, detail: sku });
    return { product: await showProduct(app, tx.sql, product, 0) };
  });
}

/** A new product and its first event; null when the SKU is taken, by an archived product too. */
export async function addProduct(app: App, tx: Tx, draft: Draft, actor: string): Promise<Product | null> {
  const created: Happening = {
    productId: app.random.id(),
    version: 1n,
    type: "product.created",
    changes: changesOf(draft),
    at: app.clock.now(),
  };
  const product = apply(undefined, created);
  if (!(await insertProduct(tx.sql, product))) return null;
  insertEvent(tx, { ...created, actor, traceId: tx.context.traceId });
  tx.emit(ProductCreated, {
    ...shared(product),
    initialStock: draft.initialStock,
    createdAt: timestampFromDate(created.at),
  });
  return product;
}
