import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
import type { Account, Entry, Kind } from "./book.ts";
import type { Hold } from "./hold.ts";

const ACCOUNT = (sql: Sql) => sql`user_id as "userId", balance, held, version`;
const HOLD = (sql: Sql) => sql`
  hold_id as "holdId", order_id as "orderId", user_id as "userId", amount, status, created_at as "createdAt", updated_at as "updatedAt"`;

export async function findAccount(sql: Sql, userId: string): Promise<Account | undefined> {
  const [row] = await sql<Account[]>`select ${ACCOUNT(sql)} from accounts where user_id = ${userId}`;
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
    select ${ACCOUNT(sql)} from accounts where user_id = any(${userIds}) order by user_id for update`;
}

/** Writes the columns of locked accounts. */
export async function saveAccounts(sql: Sql, accounts: Account[]): Promise<void> {
  const rows = accounts.map(({ userId, balance, held, version }) => ({
    user_id: userId,
    balance: balance.toString(),
    held: held.toString(),
    version: version.toString(),
  }));
  const saved = await sql`
    update accounts a set balance = new.balance, held = new.held, version = new.version
    from json_populate_recordset(null::accounts, ${JSON.stringify(rows)}::text::json) as new
    where a.user_id = new.user_id and a.version = new.version - 1`;
  if (saved.count !== accounts.length)
    throw new Error(`expected ${accounts.length} locked accounts, found ${saved.count}`);
}

export function insertLedger(tx: Recording, entries: Entry[], at: Date): void {
  for (const { movementId, side, userId, kind, causeId, amount, orderId, reason, traceId } of entries) {
    tx.insert("ledger", {
      movement_id: movementId,
      account: side,
      user_id: userId,
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

/** Which of the causes have been booked under this kind. */
export async function findBooked(sql: Sql, kind: Kind, causeIds: string[]): Promise<Set<string>> {
  const rows = await sql<{ cause_id: string }[]>`
    select distinct cause_id from ledger where cause_id = any(${causeIds}) and kind = ${kind}`;
  return new Set(rows.map((row) => row.cause_id));
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
  const [row] = await sql<
    Hold[]
  >`select ${HOLD(sql)} from holds where order_id = ${orderId} order by hold_id desc limit 1`;
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
  return new Map(rows.map((row) => [row.holdId, row]));
}

export async function insertHold(sql: Sql, hold: Hold): Promise<void> {
  const { holdId, orderId, userId, amount, status, createdAt, updatedAt } = hold;
  await sql`
    insert into holds (hold_id, order_id, user_id, amount, status, created_at, updated_at)
    values (${holdId}, ${orderId}, ${userId}, ${amount}, ${status}, ${createdAt}, ${updatedAt})`;
}

/** Writes the status of locked holds. */
export async function saveHolds(sql: Sql, holds: Hold[]): Promise<void> {
  const rows = holds.map(({ holdId, status, updatedAt }) => ({ hold_id: holdId, status, updated_at: updatedAt }));
  await sql`
    update holds h set status = new.status, updated_at = new.updated_at
    from json_populate_recordset(null::holds, ${JSON.stringify(rows)}::text::json) as new where h.hold_id = new.hold_id`;
}

export interface Difference {
  id: string;
  what: "balance" | "held" | "open holds" | "movement" | "hold";
  expected: bigint;
  found: bigint;
}

/**
 * All books in one statement, so in one snapshot: every movement sums to zero, the columns are the sums of the user's entries,
 * `held` is the sum of undecided holds, and each hold has in the ledger what its status says.
 */
export async function compareBooks(sql: Sql): Promise<{ checked: number; differences: Difference[] }> {
  const differences = await sql<Difference[]>`
    with sums as (
      select user_id, sum(amount) filter (where account in ('available', 'held')) as balance, sum(amount) filter (where account = 'held') as held
      from ledger group by user_id
    ), undecided as (
      select user_id, sum(amount) as held from holds where status = 'HELD' group by user_id
    ), columns as (
      select user_id, x.what, x.expected, x.found
      from accounts full join sums using (user_id) full join undecided using (user_id),
        lateral (values ('balance', coalesce(sums.balance, 0), coalesce(accounts.balance, 0)), ('held', coalesce(sums.held, 0), coalesce(accounts.held, 0)),
          ('open holds', coalesce(undecided.held, 0), coalesce(accounts.held, 0))) as x(what, expected, found)
    ), movements as (
      select movement_id, sum(amount) as found from ledger group by movement_id having sum(amount) <> 0 or count(*) <> 2
    ), kept as (
      select h.hold_id, case when h.status = 'HELD' then h.amount else 0 end as held, case when h.status = 'COMMITTED' then h.amount else 0 end as spent,
        coalesce(sum(l.amount) filter (where l.account = 'held'), 0) as held_found, coalesce(sum(l.amount) filter (where l.account = 'spent'), 0) as spent_found
      from holds h left join ledger l on l.cause_id = h.hold_id::text group by h.hold_id
    )
    select user_id::text as id, what, expected::bigint, found::bigint from columns where expected <> found
    union all select movement_id::text, 'movement', 0, found::bigint from movements
    union all select hold_id::text, 'hold', (held + spent)::bigint, (held_found + spent_found)::bigint from kept
      where held <> held_found or spent <> spent_found
    order by id, what`;
  const [row] = await sql<{ checked: number }[]>`select count(*)::int as checked from accounts`;
  return { checked: row?.checked ?? 0, differences: [...differences] };
}
