import { StockChanged } from "../../packages/api/facts.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import { currentContext, inContextOf } from "../../packages/telemetry/context.ts";
import type { Line } from "./reservation.ts";
import { insertLedger, lockItems, saveItems } from "./store.ts";

/** Units of one product: here, and of those promised to orders. The rest is available. */
export interface Item {
  productId: string;
  onHand: number;
  reserved: number;
  version: bigint;
}

export type Kind = "initial" | "adjusted" | "reserved" | "released" | "committed" | "returned";

/** What one unit of each kind does to the two counts. */
const EFFECT: Record<Kind, { onHand: number; reserved: number }> = {
  initial: { onHand: 1, reserved: 0 },
  adjusted: { onHand: 1, reserved: 0 },
  reserved: { onHand: 0, reserved: 1 },
  released: { onHand: 0, reserved: -1 },
  committed: { onHand: -1, reserved: -1 },
  returned: { onHand: 1, reserved: 0 },
};

export interface Entry {
  kind: Kind;
  /** The order, the product, or the adjustment's caller and request: with product and kind, it counts once. */
  causeId: string;
  productId: string;
  version: bigint;
  onHandDelta: number;
  reservedDelta: number;
  reason: string;
  traceId: string;
}

/** The locked items of one transaction, and what is booked on them. Columns and ledger are written together or not at all. */
export interface Book {
  items: Map<string, Item>;
  entries: Entry[];
  /** The message that changed each product last. */
  changed: Map<string, object>;
}

/** Every cause whose units are moved, and the message or request that asks for it. */
export interface Cause {
  kind: Kind;
  id: string;
  message: object;
  reason?: string;
}

/** Locks the items in key order, so that two books never wait for each other. Unknown products are simply not in it. */
export async function openBook(tx: Tx, lines: { productId: string }[]): Promise<Book> {
  const items = await lockItems(tx.sql, [...new Set(lines.map(({ productId }) => productId))]);
  return { items: new Map(items.map((item) => [item.productId, item])), entries: [], changed: new Map() };
}

/** The item of a product. It may only be early: its product.created is still on the way. */
export function itemOf(book: Book, productId: string): Item {
  const item = book.items.get(productId);
  if (!item) throw notFound("stock", productId);
  return item;
}

export function availableOf({ onHand, reserved }: Item): number {
  return onHand - reserved;
}

/** Books units of one product. Whether they may move was decided before; a count that breaks here is a bug. */
export function move(book: Book, cause: Cause, { productId, quantity }: Line): void {
  const item = itemOf(book, productId);
  const onHandDelta = EFFECT[cause.kind].onHand * quantity;
  const reservedDelta = EFFECT[cause.kind].reserved * quantity;
  item.onHand += onHandDelta;
  item.reserved += reservedDelta;
  if (item.reserved < 0 || item.onHand < item.reserved) {
    throw new Error(
      `${cause.kind} ${quantity} of ${productId} for ${cause.id} leaves ${item.onHand}, ${item.reserved} reserved`,
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
    traceId: currentContext()?.traceId ?? "",
  });
  book.changed.set(productId, cause.message);
}

/** Writes what was booked and tells each product's new counts once. */
export async function closeBook(app: App, tx: Tx, book: Book): Promise<void> {
  if (book.entries.length === 0) return;
  const changes = Array.from(book.changed, ([productId, message]) => ({ item: itemOf(book, productId), message }));
  for (const { item } of changes) item.version += 1n;
  await saveItems(
    tx.sql,
    changes.map(({ item }) => item),
  );
  insertLedger(tx, book.entries, app.clock.now());
  for (const { item, message } of changes) {
    inContextOf(message, () => tx.emit(StockChanged, { ...item, available: availableOf(item) }));
  }
}
