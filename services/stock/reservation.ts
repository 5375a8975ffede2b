import { invalidField } from "../../packages/service/errors.ts";
import { uuid } from "../../packages/service/uuid.ts";
import type { Kind } from "./ledger.ts";

export type Status = "RESERVED" | "REJECTED" | "RELEASED" | "COMMITTED";

export interface Line {
  productId: string;
  quantity: number;
}

/** A row of `reservations`: what is held, or was, for one order. */
export interface Reservation {
  order_id: string;
  status: Status;
  lines: Line[];
  created_at: Date;
  updated_at: Date;
}

export interface Move {
  to: Status;
  books: Kind;
}

/** What order.cancelled does: null when there is nothing left to give back. */
export const WHEN_CANCELLED: Record<Status, Move | null> = {
  RESERVED: { to: "RELEASED", books: "released" },
  COMMITTED: { to: "RELEASED", books: "returned" },
  REJECTED: null,
  RELEASED: null,
};

/** What order.paid does: null when it came again, or after the order was cancelled. A rejected order cannot be paid. */
export const WHEN_PAID: Record<Status, Move | null | "impossible"> = {
  RESERVED: { to: "COMMITTED", books: "committed" },
  COMMITTED: null,
  RELEASED: null,
  REJECTED: "impossible",
};

/** One line per product. What can never be reserved is refused for good. */
export function mergeLines(lines: Line[]): Line[] {
  if (lines.length === 0) throw invalidField("lines", "expected at least one line, found none");
  const merged = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    if (line.quantity <= 0)
      throw invalidField(`lines[${index}].quantity`, `expected at least 1, found ${line.quantity}`);
    const productId = uuid(`lines[${index}].product_id`, line.productId);
    merged.set(productId, (merged.get(productId) ?? 0) + line.quantity);
  }
  return Array.from(merged, ([productId, quantity]) => ({ productId, quantity }));
}
