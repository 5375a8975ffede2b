import type { GetProductRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { showProduct } from "./show-products.ts";
import { findProduct } from "./store.ts";

/** Archived products too: old orders show them. */
export async function getProduct(app: App, _caller: Caller, { productId }: GetProductRequest) {
  const product = await findProduct(app.sql, productId);
  if (!product) throw notFound("product", productId);
  return { product: await showProduct(app, app.sql, product, product.available) };
}
