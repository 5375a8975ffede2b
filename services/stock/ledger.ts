/** A row of `stock_items`, the units of one product: here, and of those promised to orders. The rest is available. */
export interface Item {
  product_id: string;
  on_hand: number;
  reserved: number;
  version: bigint;
}

export type Kind = "initial" | "adjusted" | "reserved" | "released" | "committed" | "returned";

/** What one unit of each kind does to the two counts. */
export const EFFECT: Record<Kind, { onHand: number; reserved: number }> = {
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
