import type { CheckAvailabilityRequest } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { availableOf } from "./book.ts";
import { findItems } from "./store.ts";

/** One line per line asked for. Of a product nobody stocks, nothing is available. Promises nothing: only a reservation does. */
export async function checkAvailability(app: App, _caller: Caller, { lines }: CheckAvailabilityRequest) {
  const items = await findItems(
    app.sql,
    lines.map(({ productId }) => productId),
  );
  const available = new Map(items.map((item) => [item.product_id, availableOf(item)]));
  return {
    lines: lines.map(({ productId }) => ({ productId, available: available.get(productId) ?? 0 })),
  };
}
