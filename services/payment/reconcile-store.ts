import type { Sql } from "../../packages/database/database.ts";
import type { Payment } from "./payment.ts";
import type { Refund } from "./store.ts";

/** Our books of these payments. */
export async function findBooks(sql: Sql, paymentIds: string[]) {
  const [payments, refunds] = await Promise.all([
    sql<Payment[]>`select * from payments where payment_id = any(${paymentIds})`,
    sql<
      (Refund & { provider_reference: string | null })[]
    >`select * from refunds where payment_id = any(${paymentIds})`,
  ]);
  return { payments: new Map(payments.map((payment) => [payment.payment_id, payment])), refunds };
}

export interface Period {
  provider: string;
  since: Date;
  /** What happened later may still be on its way. */
  until: Date;
}

/** Something of ours that has no counterpart, or has not come to its end. */
export interface Lacking {
  payment_id: string;
  provider_reference: string | null;
  kind: string;
  currency_code: string;
  amount_minor_units: bigint;
}

/** Captures and refunds that we have and that the provider's statement does not show. */
export function listUnseen(
  sql: Sql,
  { provider, since, until }: Period,
  captured: string[],
  refunded: string[],
): Promise<Lacking[]> {
  return sql<Lacking[]>`
    select payment_id, provider_reference, 'captured' as kind, currency_code, amount_minor_units from payments
    where provider = ${provider} and created_at >= ${since} and captured_at < ${until} and payment_id <> all(${captured})
    union all
    select r.payment_id, r.provider_reference, 'refunded', p.currency_code, r.amount_minor_units
    from refunds r join payments p using (payment_id)
    where p.provider = ${provider} and r.origin = 'ASKED' and r.status = 'DONE'
      and r.requested_at >= ${since} and r.done_at < ${until} and r.refund_id <> all(${refunded})`;
}

/** Events that were understood, and that nothing came of. */
export function listNotApplied(sql: Sql, { provider, since, until }: Period): Promise<Lacking[]> {
  return sql<Lacking[]>`
    select payment_id, provider_reference, kind, currency_code, amount_minor_units from provider_events
    where provider = ${provider} and applied_at is null and received_at between ${since} and ${until} order by received_at`;
}

/** Money of cancelled orders that nobody gives back, and refunds that have not come through. */
export function listOwed(sql: Sql, { provider, since, until }: Period): Promise<Lacking[]> {
  return sql<Lacking[]>`
    select payment_id, provider_reference, 'captured' as kind, currency_code,
      amount_minor_units - refund_requested_minor_units - disputed_minor_units as amount_minor_units
    from payments join orders using (order_id)
    where provider = ${provider} and payments.status = 'CAPTURED' and orders.status = 'CANCELLED' and created_at >= ${since}
      and captured_at < ${until} and amount_minor_units > refund_requested_minor_units + disputed_minor_units
    union all
    select r.payment_id, r.provider_reference, 'refunded', p.currency_code, r.amount_minor_units
    from refunds r join payments p using (payment_id)
    where p.provider = ${provider} and r.status = 'REQUESTED' and r.requested_at between ${since} and ${until}`;
}
