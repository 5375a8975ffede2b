import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { OrderCancelled, OrderCompleted, OrderPaid } from "../../packages/api/facts.ts";
import { CancelReason } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { RefundRemainder } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { insertMove } from "./history-store.ts";
import { illegalMove, lineMessages, MOVES, money, type Order, type Reason, type Status } from "./order.ts";
import { updateOrders } from "./store.ts";

export interface Cause {
  cause: string;
  actor: string;
}

// The only code that changes an order's status. Callers hold the order's lock. Each move bumps the version, appends to the history and tells a fact.

/** With money or with points, all of it; or with nothing, what costs nothing. */
export async function pay(
  app: App,
  tx: Tx,
  order: Order,
  by: { paymentId: string } | { holdId: string; points: bigint } | { free: true },
  why: Cause,
): Promise<Order> {
  const now = app.clock.now();
  const means = "free" in by ? {} : by;
  const paid = await move(app, tx, order, { status: "PAID", paidAt: now, ...means }, why);
  tx.emit(OrderPaid, { ...facts(paid), lines: lineMessages(paid), paidAt: timestampFromDate(now) });
  return paid;
}

export async function complete(app: App, tx: Tx, order: Order, why: Cause): Promise<Order> {
  const now = app.clock.now();
  const completed = await move(app, tx, order, { status: "COMPLETED", completedAt: now }, why);
  const paymentId = completed.paymentId ?? "";
  tx.emit(OrderCompleted, { ...facts(completed), paymentId, completedAt: timestampFromDate(now) });
  return completed;
}

export interface Cancellation {
  reason: Reason;
  /** What was sold does not come back for sale. */
  withoutRestock?: boolean;
}

/** Cancels; what was paid is given back: money by a job, points by the fact that names their hold. */
export async function cancel(app: App, tx: Tx, order: Order, how: Cancellation, why: Cause): Promise<Order> {
  const [cancelled] = await cancelMany(app, tx, [{ order, tx }], how, why);
  if (!cancelled) throw new Error(`cancelling order ${order.orderId} gave no order`);
  return cancelled;
}

/** Cancels a set in one statement: an expiry storm costs no more than its rows. Each with the transaction of the message that asked for it. */
export async function cancelMany(
  app: App,
  tx: Tx,
  asked: { order: Order; tx: Tx }[],
  { reason, withoutRestock = false }: Cancellation,
  why: Cause,
): Promise<Order[]> {
  const now = app.clock.now();
  const cancelled = asked.map(({ order }) => {
    const reservation = reason === "OUT_OF_STOCK" ? "REJECTED" : order.reservation;
    return moved(order, { status: "CANCELLED", cancelledAt: now, cancelReason: reason, reservation });
  });
  await updateOrders(tx.sql, cancelled);
  asked.forEach(({ order, tx: own }, index) => {
    const after = cancelled[index] ?? order;
    tell(app, own, order, after, why);
    own.emit(OrderCancelled, {
      ...facts(after),
      reason: CancelReason[reason],
      wasPaid: order.status === "PAID",
      withoutRestock,
      cancelledAt: timestampFromDate(now),
    });
    const { orderId, paymentId } = order;
    if (paymentId) own.enqueue(RefundRemainder, { paymentId, orderId, reason: "the order was cancelled" });
  });
  return cancelled;
}

async function move(
  app: App,
  tx: Tx,
  order: Order,
  change: Partial<Order> & { status: Status },
  why: Cause,
): Promise<Order> {
  const after = moved(order, change);
  await updateOrders(tx.sql, [after]);
  tell(app, tx, order, after, why);
  return after;
}

function moved(order: Order, change: Partial<Order> & { status: Status }): Order {
  if (!MOVES[order.status].includes(change.status)) throw illegalMove(order.orderId, order.status, change.status);
  return { ...order, ...change, version: order.version + 1n };
}

function tell(app: App, tx: Tx, before: Order, after: Order, { cause, actor }: Cause) {
  insertMove(tx, after, { from: before.status, to: after.status, cause, actor }, app.clock.now());
  tx.changed(after.orderId);
  app.metrics.moves.inc({ aggregate: "order", to: after.status });
  app.log.in(tx.context).info("order.moved", { order_id: after.orderId, from: before.status, to: after.status, cause });
}

function facts(order: Order) {
  const { orderId, customerId, holdId, points } = order;
  return {
    orderId,
    customerId,
    total: money(order, order.totalMinorUnits),
    holdId: holdId ?? "",
    points: points ?? 0n,
  };
}
