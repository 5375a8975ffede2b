import type { ListProductsRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { readPage } from "../../packages/service/paging.ts";
import { showProducts } from "./show-products.ts";
import { findOnShelf } from "./store.ts";

export async function listProducts(app: App, _caller: Caller, req: ListProductsRequest) {
  const { query, collection, priceMin, priceMax } = req;
  if (priceMin !== undefined && priceMax !== undefined && priceMin > priceMax) {
    throw invalidField("price_max", `expected at least price_min ${priceMin}, found ${priceMax}`);
  }
  const words = query.split(/\s+/).filter((word) => word !== "");
  const filter = { words, collection, priceMin, priceMax };
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (after, rowsMax) => findOnShelf(app.sql, filter, after, rowsMax),
    ({ productId }) => productId,
  );
  return { products: await showProducts(app, app.sql, page), nextPageToken };
}
