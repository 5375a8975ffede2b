import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { HoldStatus } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { Kind } from "./ledger.ts";

export type Status = "HELD" | "COMMITTED" | "RELEASED" | "RETURNED";

/** A row of `holds`: points taken aside for one order. */
export interface Hold {
  hold_id: string;
  order_id: string;
  user_id: string;
  amount: bigint;
  status: Status;
  created_at: Date;
  updated_at: Date;
}

/** What a hold is told: its payment is decided one way or the other, or its order was cancelled after it had paid. */
export type Verdict = "commit" | "abort" | "return";

export interface Move {
  to: Status;
  books: Kind;
}

/** What each verdict does: null when it came again or too late to matter. What is impossible would break the two-phase commit: it is an alarm. */
export const VERDICTS: Record<Verdict, Record<Status, Move | null | "impossible">> = {
  commit: {
    HELD: { to: "COMMITTED", books: "committed" },
    COMMITTED: null,
    RELEASED: "impossible",
    RETURNED: null,
  },
  abort: {
    HELD: { to: "RELEASED", books: "released" },
    COMMITTED: "impossible",
    RELEASED: null,
    RETURNED: "impossible",
  },
  return: {
    HELD: "impossible",
    COMMITTED: { to: "RETURNED", books: "returned" },
    RELEASED: "impossible",
    RETURNED: null,
  },
};

/** Points for an order that was paid in money: one for each full hundred minor units. */
export function pointsFor(totalMinorUnits: bigint): bigint {
  return totalMinorUnits / 100n;
}

export function holdMessage(hold: Hold) {
  return {
    holdId: hold.hold_id,
    orderId: hold.order_id,
    userId: hold.user_id,
    amount: hold.amount,
    status: HoldStatus[hold.status],
    createdAt: timestampFromDate(hold.created_at),
    updatedAt: timestampFromDate(hold.updated_at),
  };
}
