/** A row of `accounts`, the points of one user: all of them, and those that are held for orders. */
export interface Account {
  user_id: string;
  balance: bigint;
  held: bigint;
  version: bigint;
}

export type Kind = "granted" | "held" | "released" | "committed" | "returned" | "taken_back";
/** The user's own two accounts, and the house's two: what it gave out, and what it got back for orders. */
export type Side = "available" | "held" | "issued" | "spent";

/** Where each kind of movement takes points from, and where it puts them. */
export const MOVEMENTS: Record<Kind, { from: Side; to: Side }> = {
  granted: { from: "issued", to: "available" },
  held: { from: "available", to: "held" },
  released: { from: "held", to: "available" },
  committed: { from: "held", to: "spent" },
  returned: { from: "spent", to: "available" },
  taken_back: { from: "available", to: "issued" },
};

/** What is moved, and why. */
export interface Movement {
  kind: Kind;
  /** The hold, the order, or the grant's caller and request: with its kind, it counts once. */
  causeId: string;
  userId: string;
  amount: bigint;
  orderId: string | null;
  reason?: string;
}

export interface Entry extends Required<Movement> {
  movementId: string;
  side: Side;
  traceId: string;
}
