import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { GetProductHistoryRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { fold, type Product, type ProductEvent, toMessage } from "./product.ts";
import { showProduct } from "./show-products.ts";
import { findEvents, findProduct } from "./store.ts";

/** All events, and the product as they add up at `at`. How much of it could be sold then is stock's history, not told here. */
export async function getProductHistory(app: App, _caller: Caller, { productId, at }: GetProductHistoryRequest) {
  const events = await findEvents(app.sql, productId);
  if (events.length === 0) throw notFound("product", productId);
  const product = fold(at ? events.filter((event) => event.at.getTime() <= milliseconds(at)) : events);
  const shown = product && (at ? toMessage(product, 0) : await showNow(app, product));
  return { events: events.map(eventMessage), ...(shown && { product: shown }) };
}

async function showNow(app: App, product: Product) {
  return showProduct(app, app.sql, product, (await findProduct(app.sql, product.productId))?.available ?? 0);
}

function eventMessage({ type, version, changes, actor, traceId, at }: ProductEvent) {
  return { type, version, changes: JSON.stringify(changes), actor, traceId, at: timestampFromDate(at) };
}

/** Not a Date: a timestamp may lie outside of what one can hold, and still is before or after. */
function milliseconds({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1_000 + nanos / 1e6;
}
