import { Code } from "@connectrpc/connect";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { type AdjustStockRequest, AdjustStockResponseSchema } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, refused } from "../../packages/service/errors.ts";
import { availableOf, closeBook, itemOf, move, openBook } from "./book.ts";
import type { Item } from "./ledger.ts";
import { findBooked, findItems, insertEmptyItems } from "./store.ts";

/** Leaves room in 32 bits for an initial stock that comes later, and for sold units that come back. */
const ON_HAND_MAX = 1_000_000_000;

export async function adjustStock(app: App, caller: Caller, req: AdjustStockRequest) {
  const { productId } = req;
  if (req.reason.includes("\0")) throw invalidField("reason", "expected text, found a NUL character");
  await refuseUnlessProduct(app, productId);
  return app.transactOnce(caller, AdjustStockResponseSchema, req, async (tx) => {
    const cause = {
      kind: "adjusted",
      id: `${caller.userId} ${req.requestId}`,
      tx,
      reason: req.reason,
    } as const;
    await insertEmptyItems(tx.sql, [productId]);
    const book = await openBook(tx, [{ productId }]);
    const item = itemOf(book, productId);
    // The stored answer is forgotten after a while; the ledger is not.
    if ((await findBooked(tx.sql, "adjusted", [cause.id])).has(cause.id)) throw used(req.requestId);
    refuseUnlessPossible(item, req.delta);
    move(book, cause, { productId, quantity: req.delta });
    await closeBook(app, tx, book);
    audit(app, tx, caller, { subject: productId, reason: req.reason, detail: `${req.delta} units` });
    const { on_hand, reserved } = item;
    return { stock: { productId, onHand: on_hand, reserved, available: availableOf(item) } };
  });
}

/** A product without an item may be so new that its product.created is still on the way: the catalogue knows, and refuses what it does not. */
async function refuseUnlessProduct(app: App, productId: string) {
  const [item] = await findItems(app.sql, [productId]);
  if (!item) await app.call(ProductService).getProduct({ productId });
}

function refuseUnlessPossible({ product_id, on_hand, reserved }: Item, delta: number) {
  if (on_hand + delta < reserved) {
    throw refused(
      Code.FailedPrecondition,
      "NOT_ENOUGH_ON_HAND",
      `product ${product_id}: expected at most ${on_hand - reserved} units to be removed, found ${-delta}; ${reserved} of ${on_hand} are reserved`,
    );
  }
  if (delta > 0 && on_hand + delta > ON_HAND_MAX) {
    throw refused(
      Code.OutOfRange,
      "TOO_MUCH_ON_HAND",
      `product ${product_id}: expected at most ${ON_HAND_MAX} units on hand, found ${on_hand + delta}`,
    );
  }
}

function used(requestId: string) {
  return refused(Code.AlreadyExists, "REQUEST_ID_USED", `expected a new request_id, found ${requestId} in the ledger`);
}
