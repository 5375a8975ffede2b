import type { Sql } from "../../packages/database/database.ts";
import { table } from "../../packages/database/table.ts";
import type { Recording } from "../../packages/service/app.ts";
import { bucketOf } from "../../packages/time/ids.ts";
import type { Order, Status } from "./order.ts";

const ORDER_HISTORY = table("order_history", {
  bucket: "smallint",
  order_id: "uuid",
  version: "bigint",
  from_status: "text",
  to_status: "text",
  cause: "text",
  actor: "text",
  trace_id: "text",
  at: "timestamptz",
});

export interface Move {
  from: Status | null;
  to: Status;
  /** The RPC, fact or job that made it. */
  cause: string;
  /** A user id, or a service. */
  actor: string;
}

export function insertMove(
  tx: Recording,
  { orderId, version }: Pick<Order, "orderId" | "version">,
  { from, to, cause, actor }: Move,
  at: Date,
): void {
  tx.insert(ORDER_HISTORY, {
    bucket: bucketOf(orderId),
    order_id: orderId,
    version,
    from_status: from,
    to_status: to,
    cause,
    actor,
    trace_id: tx.context.traceId,
    at,
  });
}

export interface HistoryRow {
  from_status: Status | null;
  to_status: Status;
  cause: string;
  actor: string;
  trace_id: string;
  at: Date;
}

export function listHistory(sql: Sql, orderId: string): Promise<HistoryRow[]> {
  return sql<HistoryRow[]>`
    select from_status, to_status, cause, actor, trace_id, at from order_history
    where bucket = ${bucketOf(orderId)} and order_id = ${orderId} order by version`;
}
