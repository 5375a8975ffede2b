import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
import { insertRows, namesOf, rowsOf, table } from "../../packages/database/table.ts";
import type { Entry, Item, Kind } from "./ledger.ts";
import type { Reservation, Status } from "./reservation.ts";

const ITEMS = table("stock_items", {
  product_id: "uuid",
  on_hand: "integer",
  reserved: "integer",
  version: "bigint",
});
const LEDGER = table("stock_ledger", {
  product_id: "uuid",
  kind: "text",
  cause_id: "text",
  version: "bigint",
  on_hand_delta: "integer",
  reserved_delta: "integer",
  reason: "text",
  trace_id: "text",
  at: "timestamptz",
});
const RESERVATIONS = table("reservations", {
  order_id: "uuid",
  status: "text",
  lines: "jsonb",
  created_at: "timestamptz",
  updated_at: "timestamptz",
});
const RESERVATION_STATES = table("reservations", { order_id: "uuid", status: "text", updated_at: "timestamptz" });

export async function findItems(sql: Sql, productIds: string[]): Promise<Item[]> {
  return sql<Item[]>`select ${namesOf(sql, ITEMS)} from stock_items where product_id = any(${productIds})`;
}

export async function lockItems(sql: Sql, productIds: string[]): Promise<Item[]> {
  return sql<Item[]>`
    select ${namesOf(sql, ITEMS)} from stock_items where product_id = any(${productIds}) order by product_id for update`;
}

/** Items with nothing in them, for products that have none. */
export async function insertEmptyItems(sql: Sql, productIds: string[]): Promise<void> {
  await sql`
    insert into stock_items (product_id, on_hand, reserved, version)
    select product_id, 0, 0, 0 from unnest(${productIds}::uuid[]) as product_id order by product_id on conflict do nothing`;
}

/** Writes the counts of locked items. */
export async function saveItems(sql: Sql, items: Item[]): Promise<void> {
  const saved = await sql`
    update stock_items i set on_hand = new.on_hand, reserved = new.reserved, version = new.version
    from ${rowsOf(sql, ITEMS, items)} as new
    where i.product_id = new.product_id and i.version = new.version - 1 returning i.product_id`;
  if (saved.length !== items.length) throw new Error(`expected ${items.length} locked items, found ${saved.length}`);
}

export function insertLedger(tx: Recording, entries: Entry[], at: Date): void {
  for (const entry of entries) {
    tx.insert(LEDGER, {
      product_id: entry.productId,
      kind: entry.kind,
      cause_id: entry.causeId,
      version: entry.version,
      on_hand_delta: entry.onHandDelta,
      reserved_delta: entry.reservedDelta,
      reason: entry.reason,
      trace_id: entry.traceId,
      at,
    });
  }
}

/** Which of the causes have been booked under this kind. */
export async function findBooked(sql: Sql, kind: Kind, causeIds: string[]): Promise<Set<string>> {
  const rows = await sql<{ cause_id: string }[]>`
    select cause_id from stock_ledger where cause_id = any(${causeIds}) and kind = ${kind}`;
  return new Set(rows.map((row) => row.cause_id));
}

export async function lockReservations(sql: Sql, orderIds: string[]): Promise<Map<string, Reservation>> {
  const rows = await sql<Reservation[]>`
    select ${namesOf(sql, RESERVATIONS)} from reservations where order_id = any(${orderIds}) order by order_id for update`;
  return new Map(rows.map((row) => [row.order_id, row]));
}

/** Written at once, not recorded for the end: a fact further on in the same batch may be about the same order. */
export async function insertReservations(sql: Sql, reservations: Reservation[]): Promise<void> {
  if (reservations.length === 0) return;
  await insertRows(sql, RESERVATIONS, reservations);
}

/** Writes the status of locked reservations. */
export async function saveReservations(sql: Sql, reservations: Reservation[]): Promise<void> {
  if (reservations.length === 0) return;
  await sql`
    update reservations r set status = new.status, updated_at = new.updated_at
    from ${rowsOf(sql, RESERVATION_STATES, reservations)} as new
    where r.order_id = new.order_id`;
}

/** Newest orders first, those older than `before`. */
export async function findReservations(
  sql: Sql,
  status: Status | null,
  before: string | null,
  rowsMax: number,
): Promise<Reservation[]> {
  return sql<Reservation[]>`
    select ${namesOf(sql, RESERVATIONS)} from reservations
    where true ${status === null ? sql`` : sql`and status = ${status}`} ${before === null ? sql`` : sql`and order_id < ${before}`}
    order by order_id desc limit ${rowsMax}`;
}
