import type { GetStockRequest } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { availableOf } from "./book.ts";
import { findItems } from "./store.ts";

export async function getStock(app: App, _caller: Caller, { productId }: GetStockRequest) {
  const [item] = await findItems(app.sql, [productId]);
  if (!item) throw notFound("stock", productId);
  return {
    stock: { productId: item.product_id, onHand: item.on_hand, reserved: item.reserved, available: availableOf(item) },
  };
}
