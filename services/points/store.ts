import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
import { namesOf, rowsOf, table } from "../../packages/database/table.ts";
import type { Hold } from "./hold.ts";
import type { Account, Entry, Kind } from "./ledger.ts";

const HOLD = (sql: Sql) => sql`hold_id, order_id, user_id, amount, status, created_at, updated_at`;

const ACCOUNTS = table("accounts", { user_id: "uuid", balance: "bigint", held: "bigint", version: "bigint" });
const LEDGER = table("ledger", {
  movement_id: "uuid",
  account: "text",
  user_id: "uuid",
  version: "bigint",
  kind: "text",
  cause_id: "text",
  amount: "bigint",
  order_id: "uuid",
  reason: "text",
  trace_id: "text",
  at: "timestamptz",
});
const HOLD_STATES = table("holds", { hold_id: "uuid", status: "text", updated_at: "timestamptz" });

export async function findAccount(sql: Sql, userId: string): Promise<Account | undefined> {
  const [row] = await sql<Account[]>`select ${namesOf(sql, ACCOUNTS)} from accounts where user_id = ${userId}`;
  return row;
}

export async function insertEmptyAccounts(sql: Sql, userIds: string[]): Promise<void> {
  if (userIds.length === 0) return;
  await sql`
    insert into accounts (user_id, balance, held, version)
    select user_id, 0, 0, 0 from unnest(${userIds}::uuid[]) as user_id order by user_id on conflict do nothing`;
}

export async function lockAccounts(sql: Sql, userIds: string[]): Promise<Account[]> {
  if (userIds.length === 0) return [];
  return sql<Account[]>`
    select ${namesOf(sql, ACCOUNTS)} from accounts where user_id = any(${userIds}) order by user_id for update`;
}

/** Writes the columns of locked accounts. */
export async function saveAccounts(sql: Sql, accounts: Account[]): Promise<void> {
  const saved = await sql`
    update accounts a set balance = new.balance, held = new.held, version = new.version
    from ${rowsOf(sql, ACCOUNTS, accounts)} as new
    where a.user_id = new.user_id and a.version = new.version - 1`;
  if (saved.count !== accounts.length)
    throw new Error(`expected ${accounts.length} locked accounts, found ${saved.count}`);
}

/** Entries of accounts that are saved: each has its account's version. */
export function insertLedger(tx: Recording, entries: (Entry & { version: bigint })[], at: Date): void {
  for (const { movementId, side, userId, version, kind, causeId, amount, orderId, reason, traceId } of entries) {
    tx.insert(LEDGER, {
      movement_id: movementId,
      account: side,
      user_id: userId,
      version,
      kind,
      cause_id: causeId,
      amount,
      order_id: orderId,
      reason,
      trace_id: traceId,
      at,
    });
  }
}

/** How many points each of the causes has moved under these kinds. */
export async function findBooked(sql: Sql, kinds: Kind[], causeIds: string[]): Promise<Map<string, bigint>> {
  const rows = await sql<{ cause_id: string; amount: bigint }[]>`
    select cause_id, sum(amount)::bigint as amount from ledger
    where cause_id = any(${causeIds}) and kind = any(${kinds}) and amount > 0 group by cause_id`;
  return new Map(rows.map((row) => [row.cause_id, row.amount]));
}

/** What was heard of a payment of which money went back. */
export interface RefundedPayment {
  payment_id: string;
  kept_minor_units: bigint;
  /** What its order would have earned on all of it; null until it earns. */
  earned: bigint | null;
  /** Of these, not given or taken back. */
  withheld: bigint;
}

/** The caller holds the lock of the payer's account. */
export async function findRefunded(sql: Sql, paymentIds: string[]): Promise<Map<string, RefundedPayment>> {
  if (paymentIds.length === 0) return new Map();
  const rows = await sql<RefundedPayment[]>`
    select payment_id, kept_minor_units, earned, withheld from refunded_payments where payment_id = any(${paymentIds})`;
  return new Map(rows.map((row) => [row.payment_id, row]));
}

export async function saveRefunded(sql: Sql, payment: RefundedPayment): Promise<void> {
  const { payment_id, kept_minor_units, earned, withheld } = payment;
  await sql`
    insert into refunded_payments (payment_id, kept_minor_units, earned, withheld)
    values (${payment_id}, ${kept_minor_units}, ${earned}, ${withheld})
    on conflict (payment_id) do update
    set kept_minor_units = excluded.kept_minor_units, earned = excluded.earned, withheld = excluded.withheld`;
}

/** A movement as its user sees it. */
export interface MovementRow {
  movement_id: string;
  kind: Kind;
  balance_delta: bigint;
  held_delta: bigint;
  order_id: string | null;
  reason: string;
  at: Date;
}

/** A user's movements before one of them, newest first. */
export function listMovements(
  sql: Sql,
  userId: string,
  before: string | null,
  rowsMax: number,
): Promise<MovementRow[]> {
  return sql<MovementRow[]>`
    select movement_id, kind, order_id, reason, at,
      coalesce(sum(amount) filter (where account in ('available', 'held')), 0)::bigint as balance_delta,
      coalesce(sum(amount) filter (where account = 'held'), 0)::bigint as held_delta
    from ledger where user_id = ${userId} and (${before}::uuid is null or movement_id < ${before})
    group by movement_id, kind, order_id, reason, at order by movement_id desc limit ${rowsMax}`;
}

export async function findHold(sql: Sql, holdId: string): Promise<Hold | undefined> {
  const [row] = await sql<Hold[]>`select ${HOLD(sql)} from holds where hold_id = ${holdId}`;
  return row;
}

export async function findNewestHold(sql: Sql, orderId: string): Promise<Hold | undefined> {
  const [row] = await sql<Hold[]>`
    select ${HOLD(sql)} from holds where order_id = ${orderId} order by hold_id desc limit 1`;
  return row;
}

/** The hold that an order has at this moment, undecided or spent. */
export async function findOpenHold(sql: Sql, orderId: string): Promise<Hold | undefined> {
  const [row] = await sql<Hold[]>`
    select ${HOLD(sql)} from holds where order_id = ${orderId} and status in ('HELD', 'COMMITTED')`;
  return row;
}

/** The holds of orders that are not decided yet, by order. */
export async function findUndecided(sql: Sql, orderIds: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ order_id: string; hold_id: string }[]>`
    select order_id, hold_id from holds where order_id = any(${orderIds}) and status = 'HELD'`;
  return new Map(rows.map((row) => [row.order_id, row.hold_id]));
}

export async function lockHolds(sql: Sql, holdIds: string[]): Promise<Map<string, Hold>> {
  const rows = await sql<Hold[]>`
    select ${HOLD(sql)} from holds where hold_id = any(${holdIds}) order by hold_id for update`;
  return new Map(rows.map((row) => [row.hold_id, row]));
}

export async function insertHold(sql: Sql, hold: Hold): Promise<void> {
  const { hold_id, order_id, user_id, amount, status, created_at, updated_at } = hold;
  await sql`
    insert into holds (hold_id, order_id, user_id, amount, status, created_at, updated_at)
    values (${hold_id}, ${order_id}, ${user_id}, ${amount}, ${status}, ${created_at}, ${updated_at})`;
}

/** Writes the status of locked holds. */
export async function saveHolds(sql: Sql, holds: Hold[]): Promise<void> {
  await sql`
    update holds h set status = new.status, updated_at = new.updated_at
    from ${rowsOf(sql, HOLD_STATES, holds)} as new where h.hold_id = new.hold_id`;
}
