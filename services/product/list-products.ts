import type { ListProductsRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { afterOf, pageToken } from "./page-token.ts";
import { refuseNul, toMessage } from "./product.ts";
import { findOnShelf } from "./store.ts";

const PAGE_SIZE = 50;

export async function listProducts(app: App, _caller: Caller, req: ListProductsRequest) {
  const { query, collection, priceMin, priceMax } = req;
  refuseNul({ query, collection });
  if (priceMin !== undefined && priceMax !== undefined && priceMin > priceMax) {
    throw invalidField("price_max", `expected at least price_min ${priceMin}, found ${priceMax}`);
  }
  const words = query.split(/\s+/).filter((word) => word !== "");
  const filters = [words.join(" "), collection, String(priceMin), String(priceMax)];
  const size = req.pageSize || PAGE_SIZE;
  const after = req.pageToken === "" ? null : afterOf(req.pageToken, filters);
  const found = await findOnShelf(app.sql, { words, collection, priceMin, priceMax }, after, size + 1);
  const page = found.slice(0, size);
  const last = page.at(-1);
  return {
    products: page.map((product) => toMessage(product, product.available)),
    nextPageToken: last && found.length > size ? pageToken(last.productId, filters) : "",
  };
}
