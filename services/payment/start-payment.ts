import { Code } from "@connectrpc/connect";
import {
  type Order,
  OrderService,
  OrderStatus,
  OrderStatusSchema,
  Reservation,
  ReservationSchema,
} from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { StartPaymentRequest } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { CloseCheckout } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import type { PaymentConfig } from "./config.ts";
import { amountOf, type Payment, paymentMessage } from "./payment.ts";
import { abandonPayments, insertPayment, lockOrder, paymentsOf, updateCheckout } from "./store.ts";

/** A reservation takes about this long. */
const RESERVATION_MS = 200;
const DECIDED_RETRY_MS = 200;

export async function startPayment(
  app: App<PaymentConfig>,
  caller: Caller,
  { orderId }: StartPaymentRequest,
  signal: AbortSignal,
) {
  const { order } = await app.call(OrderService, caller).getOrder({ orderId }, { signal });
  // An admin sees the orders of others, but does not pay them.
  if (!order || order.customerId !== caller.userId) throw notFound("order", orderId);
  refuseUnpayable(order);
  const payment = await app.transact((tx) => openPayment(app, tx, order));
  return { payment: paymentMessage(payment.checkout_url ? payment : await openCheckout(app, payment)) };
}

function refuseUnpayable(order: Order): void {
  if (order.status !== OrderStatus.PENDING)
    throw notPayable(order.orderId, `is ${OrderStatusSchema.value[order.status]?.name}`);
  if (order.reservation === Reservation.AWAITING) {
    throw refused(
      Code.FailedPrecondition,
      "NOT_RESERVED_YET",
      `order ${order.orderId} waits for its reservation: ask again`,
      RESERVATION_MS,
    );
  }
  if (order.reservation !== Reservation.RESERVED)
    throw notPayable(order.orderId, `has the reservation ${ReservationSchema.value[order.reservation]?.name}`);
}

function notPayable(orderId: string, found: string) {
  return refused(
    Code.FailedPrecondition,
    "ORDER_NOT_PAYABLE",
    `order ${orderId} ${found}: expected PENDING and RESERVED`,
  );
}

/** The open payment of the order, or a new one when none is. */
async function openPayment(
  app: App<PaymentConfig>,
  { sql }: Tx,
  { orderId, customerId, total }: Order,
): Promise<Payment> {
  const provider = app.config.provider(app).name;
  // Whoever ends the order meets us at this row: no payment begins after the end.
  const status = await lockOrder(sql, orderId);
  if (status !== "PENDING") throw notPayable(orderId, `is ${status}`);
  const before = await paymentsOf(sql, orderId);
  const taken = before.find(({ status }) => status === "CAPTURED" || status === "REFUNDED");
  // The order will hear of it in a moment.
  if (taken) throw notPayable(orderId, `is paid by payment ${taken.payment_id}`);
  const elsewhere = before.some((each) => each.status === "PENDING" && each.provider !== provider);
  if (elsewhere) await abandonPayments(sql, [orderId]);
  if (!total) throw new Error(`order ${orderId} has no total`);
  const payment = await insertPayment(sql, {
    paymentId: app.random.idBeside(orderId),
    orderId,
    customerId,
    amount: total,
    provider,
    createdAt: app.clock.now(),
  });
  const open = payment ?? (await paymentsOf(sql, orderId)).find(({ status }) => status === "PENDING");
  if (!open)
    throw refused(
      Code.Aborted,
      "PAYMENT_DECIDED",
      `the open payment of order ${orderId} was decided just now: ask again`,
      DECIDED_RETRY_MS,
    );
  return open;
}

/** Outside the transaction. After a crash in between, the next call opens the same checkout again: the payment's id names it. */
async function openCheckout(app: App<PaymentConfig>, payment: Payment): Promise<Payment> {
  const { payment_id: paymentId, order_id: orderId } = payment;
  const checkout = await app.config.provider(app).createCheckout({ paymentId, orderId, amount: amountOf(payment) });
  const updated = await app.transact(async (tx) => {
    const row = await updateCheckout(tx.sql, paymentId, checkout.providerReference, checkout.checkoutUrl);
    if (!row) throw new Error(`payment ${paymentId} is gone`);
    // The order ended while the provider opened the page.
    if (row.status === "ABANDONED") tx.enqueue(CloseCheckout, { paymentId });
    return row;
  });
  if (updated.status === "ABANDONED") throw notPayable(orderId, "ended just now");
  return updated;
}
