import type { StockChanged } from "../../packages/api/gen/bodega/stock/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { saveAvailable } from "./store.ts";

/** Keeps stock's last word per product. Its versions decide, so facts may come twice or in any order. */
export async function onStockChanged(_app: App, tx: Tx, messages: Message<StockChanged>[]) {
  const newest = new Map<string, StockChanged>();
  for (const { body } of messages) {
    if (body.version > (newest.get(body.productId)?.version ?? -1n)) newest.set(body.productId, body);
  }
  const rows = Array.from(newest.values(), ({ productId, available, version }) => ({
    product_id: productId,
    available,
    version,
  }));
  await saveAvailable(tx.sql, rows);
}
