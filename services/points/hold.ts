import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { HoldStatus } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { isUuid } from "../../packages/database/ids.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { Kind } from "./book.ts";

export type Status = "HELD" | "COMMITTED" | "RELEASED" | "RETURNED";

/** Points taken aside for one order. */
export interface Hold {
  holdId: string;
  orderId: string;
  userId: string;
  amount: bigint;
  status: Status;
  createdAt: Date;
  updatedAt: Date;
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

export function holdMessage({ holdId, orderId, userId, amount, status, createdAt, updatedAt }: Hold) {
  return {
    holdId,
    orderId,
    userId,
    amount,
    status: HoldStatus[status],
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
  };
}

/** An id as PostgreSQL writes it, so that it finds its row in a Map. */
export function uuid(field: string, id: string): string {
  if (!isUuid(id)) throw invalidField(field, `expected a UUID, found ${JSON.stringify(id)}`);
  return id.toLowerCase();
}
