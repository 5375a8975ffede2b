import type { Sql } from "../../packages/database/database.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { Payment, Status } from "./payment.ts";
import type { Amount, ProviderEvent } from "./provider.ts";

/** Whose payments a reader may see. */
export interface Reader {
  userId: string;
  admin: boolean;
}

const NOBODY = "00000000-0000-0000-0000-000000000000";

/** Services have names, not user ids: they own no payment. */
const seenBy = (sql: Sql, { userId, admin }: Reader) =>
  admin ? sql`true` : sql`customer_id = ${isUuid(userId) ? userId : NOBODY}`;

export async function findPayment(sql: Sql, reader: Reader, paymentId: string): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`select * from payments where payment_id = ${paymentId} and ${seenBy(sql, reader)}`;
  return row;
}

export async function findNewestPayment(sql: Sql, reader: Reader, orderId: string): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    select * from payments where order_id = ${orderId} and ${seenBy(sql, reader)} order by payment_id desc limit 1`;
  return row;
}

export function listPaymentRows(
  sql: Sql,
  reader: Reader,
  orderId: string,
  before: string | null,
  rowsMax: number,
): Promise<Payment[]> {
  const order = orderId ? sql`order_id = ${orderId}` : sql`true`;
  return sql<Payment[]>`
    select * from payments where ${seenBy(sql, reader)} and ${order} and (${before}::uuid is null or payment_id < ${before})
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

/** False when the event was stored before. */
export async function insertEvent(
  sql: Sql,
  provider: string,
  event: ProviderEvent,
  body: Uint8Array,
  receivedAt: Date,
): Promise<boolean> {
  const { eventId, kind, paymentId, providerReference, amount, reason } = event;
  const rows = await sql`
    insert into provider_events
      (provider, event_id, kind, payment_id, provider_reference, currency_code, amount_minor_units, reason, body, received_at)
    values (${provider}, ${eventId}, ${kind}, ${paymentId}, ${providerReference}, ${amount.currencyCode}, ${amount.minorUnits},
      ${reason}, ${body}, ${receivedAt})
    on conflict do nothing returning event_id`;
  return rows.length === 1;
}

export interface EventRow {
  kind: ProviderEvent["kind"];
  provider_reference: string;
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
}

/** The caller holds the payment's lock. */
export async function insertRefund(
  sql: Sql,
  { refundId, paymentId, minorUnits, reason, requestedBy, requestedAt }: NewRefund,
): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    with refund as (
      insert into refunds (refund_id, payment_id, amount_minor_units, reason, requested_by, status, requested_at)
      values (${refundId}, ${paymentId}, ${minorUnits}, ${reason}, ${requestedBy}, 'REQUESTED', ${requestedAt}) returning payment_id)
    update payments set refund_requested_minor_units = refund_requested_minor_units + ${minorUnits}
    where payment_id = (select payment_id from refund) and status = 'CAPTURED' returning *`;
  return row;
}

export interface Refund {
  refund_id: string;
  payment_id: string;
  amount_minor_units: bigint;
  reason: string;
}

export async function findRefund(sql: Sql, refundId: string): Promise<Refund | undefined> {
  const [row] = await sql<Refund[]>`select * from refunds where refund_id = ${refundId}`;
  return row;
}

/** Undefined when the refund was settled before. */
export async function settleRefund(sql: Sql, refundId: string, at: Date): Promise<Payment | undefined> {
  const [row] = await sql<Payment[]>`
    with done as (
      update refunds set status = 'DONE', done_at = ${at} where refund_id = ${refundId} and status = 'REQUESTED'
      returning payment_id, amount_minor_units)
    update payments p set refunded_minor_units = p.refunded_minor_units + done.amount_minor_units, refunded_at = ${at},
      status = case when p.refunded_minor_units + done.amount_minor_units = p.amount_minor_units then 'REFUNDED' else p.status end
    from done where p.payment_id = done.payment_id returning p.*`;
  return row;
}
