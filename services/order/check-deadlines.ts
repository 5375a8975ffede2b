import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { PaymentDeadline as Deadline } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import { PaymentDeadline, SendPaymentReminder } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { cancelMany, complete } from "./move-order.ts";
import { DEADLINES_MS, deadlineAt, EXPIRY_STEP, money, needsKitchen, type Order } from "./order.ts";
import { lockOrders } from "./store.ts";

const TIMER = { cause: "order.payment-deadline", actor: "timer" };

/** The one timer of each order: reminds, arms itself for the next step, and at the end cancels what is unpaid and completes what needs no kitchen. */
export async function checkDeadlines(app: App, tx: Tx, messages: Message<Deadline>[]): Promise<void> {
  const orders = await lockOrders(
    tx.sql,
    messages.map(({ body }) => body.orderId),
  );
  const expired: { order: Order; tx: Tx }[] = [];
  for (const { body, tx: own } of messages) {
    const order = orders.get(body.orderId);
    if (!order) throw notFound("order", body.orderId);
    const step = stepNow(order, app.clock.now(), body.step);
    if (step === EXPIRY_STEP && order.status === "PENDING") expired.push({ order, tx: own });
    else await checkOne(app, own, order, step);
  }
  if (expired.length > 0) await cancelMany(app, tx, expired, { reason: "EXPIRED" }, TIMER);
}

async function checkOne(app: App, tx: Tx, order: Order, step: number) {
  if (order.status === "PENDING") {
    remind(tx, order, step);
    arm(tx, order, step + 1);
  } else if (order.status === "PAID" && !needsKitchen(order)) {
    if (step === EXPIRY_STEP) await complete(app, tx, order, TIMER);
    else arm(tx, order, EXPIRY_STEP);
  }
}

function remind(tx: Tx, order: Order, step: number) {
  const { orderId, customerId, expiresAt } = order;
  tx.enqueue(SendPaymentReminder, {
    orderId,
    customerId,
    reminder: step + 1,
    total: money(order, order.totalMinorUnits),
    expiresAt: timestampFromDate(expiresAt),
  });
}

function arm(tx: Tx, { orderId, createdAt }: Order, step: number) {
  tx.enqueue(PaymentDeadline, { orderId, step }, { at: deadlineAt(createdAt, step) });
}

/** After an outage several steps may be over: only the newest counts, so nobody gets a burst of old reminders. */
function stepNow({ createdAt }: Order, now: Date, armed: number): number {
  const over = DEADLINES_MS.findLastIndex((_, step) => deadlineAt(createdAt, step) <= now);
  return Math.max(over, armed);
}
