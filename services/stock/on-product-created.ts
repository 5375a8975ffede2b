import type { ProductCreated } from "../../packages/api/gen/bodega/product/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import { uuid } from "../../packages/service/uuid.ts";
import { closeBook, move, openBook } from "./book.ts";
import { findBooked, insertEmptyItems } from "./store.ts";

/** The initial stock counts once, also when the item is there already because an admin adjusted it first. */
export async function onProductCreated(app: App, tx: Tx, messages: Message<ProductCreated>[]) {
  const created = new Map(messages.map((message) => [uuid("product_id", message.body.productId), message]));
  const productIds = [...created.keys()];
  await insertEmptyItems(tx.sql, productIds);
  const book = await openBook(
    tx,
    productIds.map((productId) => ({ productId })),
  );
  const booked = await findBooked(tx.sql, "initial", productIds);
  for (const [productId, { body, tx: own }] of created) {
    if (booked.has(productId)) continue;
    const line = { productId, quantity: body.initialStock };
    move(book, { kind: "initial", id: productId, tx: own }, line);
  }
  await closeBook(app, tx, book);
}
