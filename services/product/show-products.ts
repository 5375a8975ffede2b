import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProductSchema } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import type { App } from "../../packages/service/app.ts";
import { saleAt } from "../../packages/service/sale-hours.ts";
import { findMenusOf } from "./menu-store.ts";
import { type Product, toMessage } from "./product.ts";
import type { Shelved } from "./store.ts";

/** Products as they are now: with stock's word, and whether their menus are open. */
export async function showProducts(
  app: App,
  sql: Sql,
  products: Shelved[],
): Promise<MessageInitShape<typeof ProductSchema>[]> {
  const collections = [...new Set(products.flatMap((product) => product.collections))];
  const menus = collections.length > 0 ? await findMenusOf(sql, collections) : [];
  const now = app.clock.now();
  return products.map((product) => {
    const own = menus.filter(({ collection }) => product.collections.includes(collection));
    return toMessage(product, product.available, saleAt(own, now));
  });
}

export async function showProduct(app: App, sql: Sql, product: Product, available: number) {
  const [message] = await showProducts(app, sql, [{ ...product, available }]);
  return message;
}
