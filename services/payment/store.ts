import type { Sql } from "../../packages/database/database.ts";
import { storable } from "../../packages/database/storable.ts";
import type { OrderStatus, Payment, RefundStatus, Status } from "./payment.ts";
import type { Amount, ProviderEvent } from "./provider/provider.ts";

// `customerId` null: whoever a payment belongs to.

export async function findPayment(
  sql: Sql,
  customerId: string | null,
  paymentId: string,
): Promise<Payment | undefined> {
  const [row] = await sql<
    Payment[]
  >`select * from payments where payment_id = ${paymentId} and (${customerId}::uuid is null or customer_id = ${customerId})`;
  return row;
}

export async function findNewestPayment(
  sql: Sql,
  customerId: string | null,
  orderId: string,
): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    select * from payments where order_id = ${orderId} and (${customerId}::uuid is null or customer_id = ${customerId}) order by payment_id desc limit 1`;
  return row;
}

export function listPaymentRows(
  sql: Sql,
  customerId: string | null,
  orderId: string,
  before: string | null,
  rowsMax: number,
): Promise<Payment[]> {
  const order = orderId ? sql`order_id = ${orderId}` : sql`true`;
  return sql<Payment[]>`
    select * from payments where (${customerId}::uuid is null or customer_id = ${customerId}) and ${order} and (${before}::uuid is null or payment_id < ${before})
    order by payment_id desc limit ${rowsMax}`;
}

export function paymentsOf(sql: Sql, orderId: string): Promise<Payment[]> {
  return sql<Payment[]>`select * from payments where order_id = ${orderId} order by payment_id desc`;
}

export interface NewPayment {
  paymentId: string;
  orderId: string;
  customerId: string;
  amount: Amount;
  provider: string;
  createdAt: Date;
}

/** Undefined when the order has an open payment already. */
export async function insertPayment(
  sql: Sql,
  { paymentId, orderId, customerId, amount, provider, createdAt }: NewPayment,
): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    insert into payments (payment_id, order_id, customer_id, status, currency_code, amount_minor_units, provider, created_at)
    values (${paymentId}, ${orderId}, ${customerId}, 'PENDING', ${amount.currencyCode}, ${amount.minorUnits}, ${provider}, ${createdAt})
    on conflict (order_id) where status = 'PENDING' do nothing returning *`;
  return row;
}

/** The webhook may have come first and told the reference already. */
export async function updateCheckout(
  sql: Sql,
  paymentId: string,
  reference: string,
  url: string,
): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    update payments set provider_reference = coalesce(provider_reference, ${reference}), checkout_url = ${url}
    where payment_id = ${paymentId} returning *`;
  return row;
}

const REASON_CHARS_MAX = 255;

/** False when the event was stored before. */
export async function insertEvent(
  sql: Sql,
  provider: string,
  event: ProviderEvent,
  body: Uint8Array,
  receivedAt: Date,
): Promise<boolean> {
  const { eventId, kind, paymentId, providerReference, refundId, amount, reason } = event;
  const rows = await sql`
    insert into provider_events
      (provider, event_id, kind, payment_id, provider_reference, refund_id, currency_code, amount_minor_units, reason, body, received_at)
    values (${provider}, ${eventId}, ${kind}, ${paymentId}, ${providerReference}, ${refundId}, ${amount.currencyCode}, ${amount.minorUnits},
      ${storable(reason, REASON_CHARS_MAX)}, ${body}, ${receivedAt})
    on conflict do nothing returning event_id`;
  return rows.length === 1;
}

export interface EventRow {
  event_id: string;
  kind: ProviderEvent["kind"];
  provider_reference: string;
  refund_id: string | null;
  currency_code: string;
  amount_minor_units: bigint;
  reason: string;
}

export async function findEvent(sql: Sql, provider: string, eventId: string): Promise<EventRow | undefined> {
  const [row] = await sql<
    EventRow[]
  >`select * from provider_events where provider = ${provider} and event_id = ${eventId}`;
  return row;
}

export async function markApplied(sql: Sql, provider: string, eventId: string, at: Date): Promise<void> {
  await sql`
    update provider_events set applied_at = ${at} where provider = ${provider} and event_id = ${eventId} and applied_at is null`;
}

/** Of money that moved again before anybody knew that it came. */
export async function findWaiting(sql: Sql, provider: string, paymentId: string, kinds: string[]): Promise<string[]> {
  const rows = await sql<{ event_id: string }[]>`
    select event_id from provider_events
    where provider = ${provider} and payment_id = ${paymentId} and applied_at is null and kind = any(${kinds})
    order by received_at, event_id`;
  return rows.map((row) => row.event_id);
}

/** Locks the order's row, and makes it when this is the first time that payment hears of the order. */
export async function lockOrder(sql: Sql, orderId: string): Promise<OrderStatus> {
  const [row] = await sql<{ status: OrderStatus }[]>`
    insert into orders (order_id, status) values (${orderId}, 'PENDING')
    on conflict (order_id) do update set status = orders.status returning status`;
  if (!row) throw new Error(`order ${orderId} could not be locked`);
  return row.status;
}

/** PAID may still become CANCELLED, and nothing becomes anything else: facts may come twice. */
export async function endOrders(sql: Sql, orderIds: string[], status: "PAID" | "CANCELLED"): Promise<void> {
  await sql`
    insert into orders (order_id, status) select id, ${status} from unnest(${orderIds}::uuid[]) id order by id
    on conflict (order_id) do update set status = case when orders.status = 'CANCELLED' then orders.status else excluded.status end`;
}

/** Payments that were open until now. */
export function abandonPayments(sql: Sql, orderIds: string[]): Promise<Payment[]> {
  return sql<Payment[]>`
    update payments set status = 'ABANDONED' where order_id = any(${orderIds}) and status = 'PENDING' returning *`;
}

/** Those whose page may still take money: what was declined once may be paid with a second card. */
export function listUnpaid(sql: Sql, orderIds: string[]): Promise<Pick<Payment, "payment_id" | "order_id">[]> {
  return sql<Payment[]>`
    select payment_id, order_id from payments
    where order_id = any(${orderIds}) and status in ('PENDING', 'FAILED', 'ABANDONED') order by payment_id`;
}

/** Undefined when the payment is in none of the states `from`: then nothing happened. */
export async function movePayment(
  sql: Sql,
  paymentId: string,
  from: Status[],
  to: Status,
  reference: string,
  at: Date,
): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    update payments set status = ${to}, provider_reference = ${reference}, captured_at = case when ${to} = 'CAPTURED' then ${at}::timestamptz end
    where payment_id = ${paymentId} and status = any(${from}) returning *`;
  return row;
}

export async function lockPayment(sql: Sql, paymentId: string): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`select * from payments where payment_id = ${paymentId} for update`;
  return row;
}

export interface NewRefund {
  refundId: string;
  paymentId: string;
  minorUnits: bigint;
  reason: string;
  requestedBy: string;
  requestedAt: Date;
  origin: Refund["origin"];
  status: RefundStatus;
  reference: string | null;
}

/** The caller holds the payment's lock, and sums up afterwards. */
export async function insertRefund(sql: Sql, refund: NewRefund): Promise<void> {
  const { refundId, paymentId, minorUnits, reason, requestedBy, requestedAt, origin, status, reference } = refund;
  await sql`
    insert into refunds (refund_id, payment_id, amount_minor_units, reason, requested_by, status, requested_at, done_at, origin, provider_reference)
    values (${refundId}, ${paymentId}, ${minorUnits}, ${reason}, ${requestedBy}, ${status}, ${requestedAt},
      ${status === "REQUESTED" ? null : requestedAt}, ${origin}, ${reference})`;
}

export interface Refund {
  refund_id: string;
  payment_id: string;
  amount_minor_units: bigint;
  reason: string;
  status: RefundStatus;
  origin: "ASKED" | "PROVIDER" | "DISPUTE";
}

export async function findRefund(sql: Sql, refundId: string): Promise<Refund | undefined> {
  const [row] = await sql<Refund[]>`select * from refunds where refund_id = ${refundId}`;
  return row;
}

/** Whether a refund was refused of a payment that is to go back whole: `requestedBy` asked for that, or its order is cancelled. */
export async function isRefusedRemainder(sql: Sql, payment: Payment, requestedBy: string): Promise<boolean> {
  const { payment_id, order_id } = payment;
  const [row] = await sql`
    select from refunds where payment_id = ${payment_id} and status = 'REFUSED' and (
      exists (select from refunds where payment_id = ${payment_id} and requested_by = ${requestedBy})
      or exists (select from orders where order_id = ${order_id} and status = 'CANCELLED')) limit 1`;
  return row !== undefined;
}

/** By our id, or by the provider's: an event knows one of them, or both. */
export async function findRefundOf(
  sql: Sql,
  paymentId: string,
  refundId: string | null,
  reference: string | null,
): Promise<Refund | undefined> {
  const [row] = await sql<Refund[]>`
    select * from refunds where payment_id = ${paymentId} and (refund_id = ${refundId} or provider_reference = ${reference})`;
  return row;
}

export async function moveRefund(
  sql: Sql,
  refundId: string,
  to: RefundStatus,
  reference: string | null,
  at: Date,
): Promise<void> {
  await sql`
    update refunds set status = ${to}, done_at = coalesce(done_at, ${at}), provider_reference = coalesce(provider_reference, ${reference})
    where refund_id = ${refundId}`;
}

/** Undefined when nothing is to be done for it any more. */
export async function failRefund(sql: Sql, refundId: string, error: string): Promise<string | undefined> {
  const [row] = await sql<{ payment_id: string }[]>`
    update refunds set status = 'FAILED', error = ${error} where refund_id = ${refundId} and status = 'REQUESTED' returning payment_id`;
  return row?.payment_id;
}

export async function promiseAgain(sql: Sql, refundId: string): Promise<void> {
  await sql`update refunds set status = 'REQUESTED', error = '' where refund_id = ${refundId} and status = 'FAILED'`;
}

/** What the payment's columns say follows from its refunds. The caller holds its lock. */
export async function sumUp(sql: Sql, paymentId: string, at: Date): Promise<Payment> {
  const [row] = await sql<Payment[]>`
    with sums as (
      select coalesce(sum(amount_minor_units) filter (where origin <> 'DISPUTE' and status in ('REQUESTED', 'DONE')), 0)::bigint as requested,
        coalesce(sum(amount_minor_units) filter (where origin <> 'DISPUTE' and status = 'DONE'), 0)::bigint as refunded,
        coalesce(sum(amount_minor_units) filter (where status = 'FAILED'), 0)::bigint as failed,
        coalesce(sum(amount_minor_units) filter (where origin = 'DISPUTE' and status = 'DONE'), 0)::bigint as disputed
      from refunds where payment_id = ${paymentId})
    update payments set refund_requested_minor_units = requested, refunded_minor_units = refunded, disputed_minor_units = disputed,
      refund_failed_minor_units = failed,
      status = case when refunded + disputed >= amount_minor_units then 'REFUNDED' else 'CAPTURED' end,
      refunded_at = case when refunded + disputed = 0 then null
        when refunded + disputed > refunded_minor_units + disputed_minor_units then ${at} else refunded_at end
    from sums where payment_id = ${paymentId} and status in ('CAPTURED', 'REFUNDED') returning payments.*`;
  if (!row) throw new Error(`payment ${paymentId} was locked with money in it, and yet has none`);
  return row;
}
