import { Code } from "@connectrpc/connect";
import type { DecideHold } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import {
  type PayWithPointsRequest,
  PayWithPointsResponseSchema,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { Decision } from "../../packages/api/gen/bodega/points/v1/events_pb.ts";
import { type Hold, PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { SettleHold } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { pay } from "./move-order.ts";
import { type Order, orderMessage, refuseUnpayable } from "./order.ts";
import { findDecision, findOrder, insertDecision, lockOrders } from "./store.ts";

/** Until points has released what it held, or so. */
const RETRY_MS = 1_000;

// A two-phase commit, coordinated here: points holds, the order decides, the decision travels. A hold nobody decides about is aborted.

export async function payWithPoints(app: App, caller: Caller, req: PayWithPointsRequest, signal: AbortSignal) {
  const { orderId } = req;
  const hold = await prepare(app, caller, orderId, signal);
  return app.transactOnce(caller, PayWithPointsResponseSchema, req, async (tx) => ({
    order: orderMessage(await commit(app, tx, caller, orderId, hold)),
  }));
}

/** Phase one, outside any transaction. Nothing for an order that cannot be paid: whether that is a refusal or a repeated request is said later. */
async function prepare(app: App, caller: Caller, orderId: string, signal: AbortSignal): Promise<Hold | null> {
  const order = await ownOrder(app, caller, orderId);
  if (order.status !== "PENDING" || order.reservation !== "RESERVED") return null;
  const { customerId: userId, totalMinorUnits: amount, currencyCode } = order;
  const asked = { orderId, userId, amount, currencyCode };
  const { hold } = await app.call(PointsService).prepareHold(asked, { signal });
  if (!hold) throw new Error(`PrepareHold for order ${orderId} answered without a hold`);
  // Of a move from now on points will hear, and let go. A move that it heard of before there was a hold would leave the hold in doubt.
  const now = await ownOrder(app, caller, orderId);
  if (now.status !== "PENDING" && now.holdId !== hold.holdId)
    await app.at(orderId).transact((tx) => decide(app, tx, orderId, hold.holdId));
  return hold;
}

/** The decision: the order is PAID and COMMIT is recorded, in one commit whose order.paid tells points. */
async function commit(app: App, tx: Tx, caller: Caller, orderId: string, hold: Hold | null): Promise<Order> {
  const order = (await lockOrders(tx.sql, [orderId])).get(orderId);
  if (order?.customerId !== caller.userId) throw notFound("order", orderId);
  refuseUnpayable(order);
  if (!hold) throw tryAgain(`order ${orderId} was not yet reserved when its points were asked for`);
  if (hold.amount !== order.totalMinorUnits)
    throw new Error(`hold ${hold.holdId} has ${hold.amount} points, order ${orderId} costs ${order.totalMinorUnits}`);
  if (!(await insertDecision(tx.sql, orderId, hold.holdId, "COMMIT", app.clock.now())))
    throw tryAgain(`the hold on points for order ${orderId} was given up because it took too long`);
  const why = { cause: "PayWithPoints", actor: caller.userId };
  return pay(app, tx, order, { holdId: hold.holdId, points: hold.amount }, why);
}

/** Points asks about holds in doubt. Under the order's lock either COMMIT is there already, or it never will be. */
export async function decideHolds(app: App, _tx: Tx, messages: Message<DecideHold>[]): Promise<void> {
  for (const message of messages.toSorted((a, b) => (a.body.orderId < b.body.orderId ? -1 : 1)))
    await decide(app, message.tx, message.body.orderId, message.body.holdId);
}

async function decide(app: App, tx: Tx, orderId: string, holdId: string): Promise<void> {
  await lockOrders(tx.sql, [orderId]);
  await insertDecision(tx.sql, orderId, holdId, "ABORT", app.clock.now());
  const decision = await findDecision(tx.sql, orderId, holdId);
  app.log.in(tx.context).info("hold.decided", { order_id: orderId, hold_id: holdId, decision });
  tx.enqueue(SettleHold, { holdId, orderId, decision: Decision[decision] });
}

async function ownOrder(app: App, { userId }: Caller, orderId: string): Promise<Order> {
  const order = await findOrder(app.at(orderId).sql, orderId, userId);
  if (!order) throw notFound("order", orderId);
  return order;
}

function tryAgain(message: string) {
  return refused(Code.Aborted, "HOLD_GIVEN_UP", `${message}: ask again`, RETRY_MS);
}
