import type { ProductCreated } from "../../packages/api/gen/bodega/product/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import { closeBook, move, openBook } from "./book.ts";
import { uuid } from "./reservation.ts";
import { findBooked, insertEmptyItems } from "./store.ts";

/** The initial stock counts once, also when the item is there already because an admin adjusted it first. */
export async function onProductCreated(app: App, tx: Tx, bodies: ProductCreated[]) {
  const created = new Map(bodies.map((body) => [uuid("product_id", body.productId), body]));
  const productIds = [...created.keys()];
  await insertEmptyItems(tx.sql, productIds);
  const book = await openBook(
    tx,
    productIds.map((productId) => ({ productId })),
  );
  const booked = await findBooked(tx.sql, "initial", productIds);
  for (const [productId, body] of created) {
    if (booked.has(productId)) continue;
    const line = { productId, quantity: body.initialStock };
    inContextOf(body, () => move(book, { kind: "initial", id: productId, message: body }, line));
  }
  await closeBook(app, tx, book);
}
