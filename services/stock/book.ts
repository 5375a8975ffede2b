import { StockChanged } from "../../packages/api/facts.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import { EFFECT, type Entry, type Item, type Kind } from "./ledger.ts";
import type { Line } from "./reservation.ts";
import { insertLedger, lockItems, saveItems } from "./store.ts";

/** The locked items of one transaction, and what is booked on them. Columns and ledger are written together or not at all. */
export interface Book {
  items: Map<string, Item>;
  entries: Entry[];
  /** The transaction of the message that changed each product last. */
  changed: Map<string, Tx>;
}

/** Every cause whose units are moved, and the transaction of the message or request that asks for it. */
export interface Cause {
  kind: Kind;
  id: string;
  tx: Tx;
  reason?: string;
}

/** Locks the items in key order, so that two books never wait for each other. Unknown products are simply not in it. */
export async function openBook(tx: Tx, lines: { productId: string }[]): Promise<Book> {
  const items = await lockItems(tx.sql, [...new Set(lines.map(({ productId }) => productId))]);
  return { items: new Map(items.map((item) => [item.product_id, item])), entries: [], changed: new Map() };
}

/** The item of a product. It may only be early: its product.created is still on the way. */
export function itemOf(book: Book, productId: string): Item {
  const item = book.items.get(productId);
  if (!item) throw notFound("stock", productId);
  return item;
}

export function availableOf({ on_hand, reserved }: Item): number {
  return on_hand - reserved;
}

/** Books units of one product. Whether they may move was decided before; a count that breaks here is a bug. */
export function move(book: Book, cause: Cause, { productId, quantity }: Line): void {
  const item = itemOf(book, productId);
  const onHandDelta = EFFECT[cause.kind].onHand * quantity;
  const reservedDelta = EFFECT[cause.kind].reserved * quantity;
  item.on_hand += onHandDelta;
  item.reserved += reservedDelta;
  if (item.reserved < 0 || item.on_hand < item.reserved) {
    throw new Error(
      `${cause.kind} ${quantity} of ${productId} for ${cause.id} leaves ${item.on_hand}, ${item.reserved} reserved`,
    );
  }
  book.entries.push({
    kind: cause.kind,
    causeId: cause.id,
    productId,
    version: item.version + 1n,
    onHandDelta,
    reservedDelta,
    reason: cause.reason ?? "",
    traceId: cause.tx.context.traceId,
  });
  book.changed.set(productId, cause.tx);
}

/** Writes what was booked and tells each product's new counts once. */
export async function closeBook(app: App, tx: Tx, book: Book): Promise<void> {
  if (book.entries.length === 0) return;
  const changes = Array.from(book.changed, ([productId, own]) => ({ item: itemOf(book, productId), own }));
  for (const { item } of changes) item.version += 1n;
  await saveItems(
    tx.sql,
    changes.map(({ item }) => item),
  );
  insertLedger(tx, book.entries, app.clock.now());
  for (const { item, own } of changes) own.emit(StockChanged, changeOf(item));
}

function changeOf(item: Item) {
  const { product_id, on_hand, reserved, version } = item;
  return { productId: product_id, onHand: on_hand, reserved, available: availableOf(item), version };
}
