import { PaymentDeadline } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Schedule } from "../../packages/service/service.ts";
import { DEADLINES_MS, EXPIRY_STEP } from "./order.ts";
import { findForgotten } from "./store.ts";

/** A timer that is being worked on is left alone for so long. */
const GRACE_MS = 60_000;
const ORDERS_MAX = 500;

export const SWEEP: Schedule = { name: "sweep-orders", everyMs: 60_000, run: sweepOrders };

/** An order whose day is over and whose timer is gone, parked or lost, gets a new one: no order waits for ever, whatever became of its job. */
export async function sweepOrders(app: App): Promise<void> {
  const endedBefore = new Date(app.clock.now().getTime() - DEADLINES_MS[EXPIRY_STEP] - GRACE_MS);
  for (const place of app.everywhere()) {
    const orderIds = await findForgotten(place.sql, PaymentDeadline.type, endedBefore, ORDERS_MAX);
    if (orderIds.length === 0) continue;
    await place.transact(async (tx) => {
      for (const orderId of orderIds) tx.enqueue(PaymentDeadline, { orderId, step: EXPIRY_STEP });
    });
    app.log.warn("orders.timers_renewed", { count: orderIds.length, first: orderIds[0] });
  }
}
