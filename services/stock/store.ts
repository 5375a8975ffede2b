import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
import type { Entry, Item, Kind } from "./book.ts";
import type { Reservation, Status } from "./reservation.ts";

const ITEM = (sql: Sql) => sql`product_id as "productId", on_hand as "onHand", reserved, version`;
const RESERVATION = (sql: Sql) =>
  sql`order_id as "orderId", status, lines, created_at as "createdAt", updated_at as "updatedAt"`;

export async function findItems(sql: Sql, productIds: string[]): Promise<Item[]> {
  return sql<Item[]>`select ${ITEM(sql)} from stock_items where product_id = any(${productIds})`;
}

export async function lockItems(sql: Sql, productIds: string[]): Promise<Item[]> {
  return sql<Item[]>`
    select ${ITEM(sql)} from stock_items where product_id = any(${productIds}) order by product_id for update`;
}

/** Items with nothing in them, for products that have none. */
export async function insertEmptyItems(sql: Sql, productIds: string[]): Promise<void> {
  await sql`
    insert into stock_items (product_id, on_hand, reserved, version)
    select product_id, 0, 0, 0 from unnest(${productIds}::uuid[]) as product_id order by product_id on conflict do nothing`;
}

/** Writes the counts of locked items. */
export async function saveItems(sql: Sql, items: Item[]): Promise<void> {
  const rows = items.map(({ productId, onHand, reserved, version }) => ({
    product_id: productId,
    on_hand: onHand,
    reserved,
    version: version.toString(),
  }));
  const saved = await sql`
    update stock_items i set on_hand = new.on_hand, reserved = new.reserved, version = new.version
    from json_populate_recordset(null::stock_items, ${JSON.stringify(rows)}::text::json) as new
    where i.product_id = new.product_id and i.version = new.version - 1 returning i.product_id`;
  if (saved.length !== items.length) throw new Error(`expected ${items.length} locked items, found ${saved.length}`);
}

export function insertLedger(tx: Recording, entries: Entry[], at: Date): void {
  for (const entry of entries) {
    tx.insert("stock_ledger", {
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
    select ${RESERVATION(sql)} from reservations where order_id = any(${orderIds}) order by order_id for update`;
  return new Map(rows.map((row) => [row.orderId, row]));
}

/** Written at once, not recorded for the end: a fact further on in the same batch may be about the same order. */
export async function insertReservations(sql: Sql, reservations: Reservation[]): Promise<void> {
  if (reservations.length === 0) return;
  await sql`
    insert into reservations (order_id, status, lines, created_at, updated_at)
    select order_id, status, lines, created_at, updated_at
    from json_populate_recordset(null::reservations, ${JSON.stringify(reservations.map(reservationRow))}::text::json)`;
}

/** Writes the status of locked reservations. */
export async function saveReservations(sql: Sql, reservations: Reservation[]): Promise<void> {
  if (reservations.length === 0) return;
  await sql`
    update reservations r set status = new.status, updated_at = new.updated_at
    from json_populate_recordset(null::reservations, ${JSON.stringify(reservations.map(reservationRow))}::text::json) as new
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
    select ${RESERVATION(sql)} from reservations
    where true ${status === null ? sql`` : sql`and status = ${status}`} ${before === null ? sql`` : sql`and order_id < ${before}`}
    order by order_id desc limit ${rowsMax}`;
}

export interface Difference {
  productId: string;
  column: "on_hand" | "reserved";
  columnValue: number;
  ledgerValue: number;
}

/** Both books of every product in one statement, so in one snapshot. */
export async function compareBooks(sql: Sql): Promise<{ checked: number; differences: Difference[] }> {
  const [row] = await sql<{ checked: number; differences: Difference[] }[]>`
    with ledger as (
      select product_id, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved from stock_ledger group by product_id
    ), compared as (
      select product_id, x.name, coalesce(x.said, 0) as said, coalesce(x.summed, 0) as summed
      from stock_items i full join ledger l using (product_id),
        lateral (values ('on_hand', i.on_hand, l.on_hand), ('reserved', i.reserved, l.reserved)) as x(name, said, summed)
    )
    select (count(*) / 2)::int as checked, coalesce(json_agg(json_build_object(
        'productId', product_id, 'column', name, 'columnValue', said, 'ledgerValue', summed
      ) order by product_id, name) filter (where said <> summed), '[]') as differences
    from compared`;
  if (!row) throw new Error("an aggregate without groups gave no row");
  return row;
}

function reservationRow({ orderId, status, lines, createdAt, updatedAt }: Reservation) {
  return { order_id: orderId, status, lines, created_at: createdAt, updated_at: updatedAt };
}
