import type { Sql } from "../../packages/database/database.ts";
import { rowsOf, table } from "../../packages/database/table.ts";
import type { Recording } from "../../packages/service/app.ts";
import { bucketOf, bucketOfCustomer, uuidV7Floor } from "../../packages/time/ids.ts";
import { type Held, type Line, type Order, type Reason, type Status, unitsOf } from "./order.ts";

// Every SQL statement about orders; those about the catalogue are in catalogue-store.ts, those about their history in history-store.ts. Each statement on an order names its bucket.

const ORDERS = table("orders", {
  bucket: "smallint",
  order_id: "uuid",
  customer_id: "uuid",
  status: "text",
  reservation: "text",
  currency_code: "text",
  total_minor_units: "bigint",
  needs_kitchen: "boolean",
  units: "integer",
  created_at: "timestamptz",
  expires_at: "timestamptz",
  version: "bigint",
});
const ORDER_LINES = table("order_lines", {
  bucket: "smallint",
  order_id: "uuid",
  line: "smallint",
  product_id: "uuid",
  name: "text",
  quantity: "integer",
  unit_price_minor_units: "bigint",
  prepared: "boolean",
});
export function insertOrder(tx: Recording, order: Order, needsKitchen: boolean): void {
  const bucket = bucketOf(order.orderId);
  tx.insert(ORDERS, {
    bucket,
    order_id: order.orderId,
    customer_id: order.customerId,
    status: order.status,
    reservation: order.reservation,
    currency_code: order.currencyCode,
    total_minor_units: order.totalMinorUnits,
    needs_kitchen: needsKitchen,
    units: unitsOf(order),
    created_at: order.createdAt,
    expires_at: order.expiresAt,
    version: order.version,
  });
  order.lines.forEach((line, index) => {
    tx.insert(ORDER_LINES, {
      bucket,
      order_id: order.orderId,
      line: index,
      product_id: line.productId,
      name: line.name,
      quantity: line.quantity,
      unit_price_minor_units: line.unitPriceMinorUnits,
      prepared: line.prepared,
    });
  });
}

interface OrderRow {
  order_id: string;
  customer_id: string;
  status: Status;
  reservation: Held;
  currency_code: string;
  total_minor_units: bigint;
  created_at: Date;
  expires_at: Date;
  paid_at: Date | null;
  payment_id: string | null;
  hold_id: string | null;
  points: bigint | null;
  refunded_minor_units: bigint;
  cancelled_at: Date | null;
  cancel_reason: Reason | null;
  completed_at: Date | null;
  version: bigint;
  lines: LineRow[] | null;
}

interface LineRow {
  product_id: string;
  name: string;
  quantity: number;
  unit_price_minor_units: number | string;
  prepared: boolean;
}

/** `customerId` null: whoever it belongs to. */
export async function findOrder(sql: Sql, orderId: string, customerId: string | null): Promise<Order | null> {
  const bucket = bucketOf(orderId);
  const rows = await sql<OrderRow[]>`
    select o.*, ${linesOf(sql)} as lines from orders o
    where o.bucket = ${bucket} and o.order_id = ${orderId} and (${customerId}::uuid is null or o.customer_id = ${customerId})`;
  return rows[0] ? orderFrom(rows[0]) : null;
}

/** Locks orders in the order of their ids, so that two sets never wait for each other. */
export async function lockOrders(sql: Sql, orderIds: string[]): Promise<Map<string, Order>> {
  const rows = await sql<OrderRow[]>`
    select o.*, ${linesOf(sql)} as lines from orders o
    where (o.bucket, o.order_id) in (select bucket, order_id from unnest(${orderIds.map(bucketOf)}::smallint[], ${orderIds}::uuid[]) as k(bucket, order_id))
    order by o.order_id for update of o`;
  return new Map(rows.map((row) => [row.order_id, orderFrom(row)]));
}

export interface Filter {
  /** Null: everybody's. */
  customerId: string | null;
  status: Status | null;
  /** Orders before this id, newest first. */
  before: string | null;
}

export async function listOrders(sql: Sql, { customerId, status, before }: Filter, rowsMax: number): Promise<Order[]> {
  const bucket = customerId ? bucketOfCustomer(customerId) : null;
  const rows = await sql<OrderRow[]>`
    select o.*, ${linesOf(sql)} as lines from orders o
    where (${bucket}::smallint is null or o.bucket = ${bucket}) and (${customerId}::uuid is null or o.customer_id = ${customerId})
      and (${status}::text is null or o.status = ${status}) and (${before}::uuid is null or o.order_id < ${before})
    order by o.order_id desc limit ${rowsMax}`;
  return rows.map(orderFrom);
}

const CHANGED_ORDERS = table("orders", {
  bucket: "smallint",
  order_id: "uuid",
  status: "text",
  reservation: "text",
  paid_at: "timestamptz",
  payment_id: "uuid",
  hold_id: "uuid",
  points: "bigint",
  refunded_minor_units: "bigint",
  cancelled_at: "timestamptz",
  cancel_reason: "text",
  completed_at: "timestamptz",
  version: "bigint",
});

/** Writes what an order has become. The caller holds its lock and has checked the move. */
export async function updateOrders(sql: Sql, orders: Order[]): Promise<void> {
  const rows = orders.map((order) => ({
    bucket: bucketOf(order.orderId),
    order_id: order.orderId,
    status: order.status,
    reservation: order.reservation,
    paid_at: order.paidAt,
    payment_id: order.paymentId,
    hold_id: order.holdId,
    points: order.points,
    refunded_minor_units: order.refundedMinorUnits,
    cancelled_at: order.cancelledAt,
    cancel_reason: order.cancelReason,
    completed_at: order.completedAt,
    version: order.version,
  }));
  const updated = await sql`
    update orders o set status = n.status, reservation = n.reservation, paid_at = n.paid_at, payment_id = n.payment_id,
      hold_id = n.hold_id, points = n.points, refunded_minor_units = n.refunded_minor_units,
      cancelled_at = n.cancelled_at, cancel_reason = n.cancel_reason, completed_at = n.completed_at, version = n.version
    from ${rowsOf(sql, CHANGED_ORDERS, rows)} as n
    where o.bucket = n.bucket and o.order_id = n.order_id and o.version = n.version - 1`;
  if (updated.count !== orders.length)
    throw new Error(`updated ${updated.count} of ${orders.length} orders: one changed under its lock`);
}

/** Writes down what stock holds for orders, and gives back which of them there are, with their totals. Locks like `lockOrders`. */
export async function setReservation(sql: Sql, orderIds: string[], reservation: Held): Promise<Map<string, bigint>> {
  const rows = await sql<{ order_id: string; total_minor_units: bigint }[]>`
    with locked as (
      select bucket, order_id, reservation, total_minor_units from orders
      where (bucket, order_id) in (select bucket, order_id from unnest(${orderIds.map(bucketOf)}::smallint[], ${orderIds}::uuid[]) as k(bucket, order_id))
      order by order_id for update
    ), changed as (
      update orders o set reservation = ${reservation}, version = o.version + 1 from locked l
      where o.bucket = l.bucket and o.order_id = l.order_id and l.reservation <> ${reservation}
    ) select order_id, total_minor_units from locked`;
  return new Map(rows.map((row) => [row.order_id, row.total_minor_units]));
}

export type Decided = "COMMIT" | "ABORT";

/** Decides about a hold, for ever; false when it was decided before. The caller holds the order's lock. */
export async function insertDecision(
  sql: Sql,
  orderId: string,
  holdId: string,
  decision: Decided,
  at: Date,
): Promise<boolean> {
  const rows = await sql`
    insert into decisions (bucket, order_id, hold_id, decision, decided_at)
    values (${bucketOf(orderId)}, ${orderId}, ${holdId}, ${decision}, ${at})
    on conflict (order_id, bucket, hold_id) do nothing returning decision`;
  return rows.length === 1;
}

export async function findDecision(sql: Sql, orderId: string, holdId: string): Promise<Decided> {
  const [row] = await sql<{ decision: Decided }[]>`
    select decision from decisions where bucket = ${bucketOf(orderId)} and order_id = ${orderId} and hold_id = ${holdId}`;
  if (!row) throw new Error(`hold ${holdId} of order ${orderId} has no decision`);
  return row.decision;
}

/** Orders placed before `placedBefore` that are not at their end, though nothing but their timer is to come, and that have no such timer. Oldest first. */
export async function findForgotten(sql: Sql, timer: string, placedBefore: Date, rowsMax: number): Promise<string[]> {
  const rows = await sql<{ order_id: string }[]>`
    select order_id from orders o
    where order_id < ${uuidV7Floor(placedBefore.getTime())}
      and status in ('PENDING', 'PAID') and (status = 'PENDING' or not needs_kitchen)
      and not exists (select from jobs j where j.type = ${timer} and j.bucket = o.bucket and j.key = o.order_id::text)
    order by order_id limit ${rowsMax}`;
  return rows.map((row) => row.order_id);
}

export interface Limits {
  unpaidOrdersMax: number | null;
  unpaidUnitsMax: number | null;
}

/** How much a customer may hold without paying; null is without limit. */
export async function setLimits(sql: Sql, { unpaidOrdersMax, unpaidUnitsMax }: Limits): Promise<void> {
  await sql`update order_limits set unpaid_orders_max = ${unpaidOrdersMax}, unpaid_units_max = ${unpaidUnitsMax}`;
}

function linesOf(sql: Sql) {
  return sql`(select json_agg(l order by l.line) from order_lines l where l.bucket = o.bucket and l.order_id = o.order_id)`;
}

function orderFrom(row: OrderRow): Order {
  return {
    orderId: row.order_id,
    customerId: row.customer_id,
    status: row.status,
    reservation: row.reservation,
    lines: (row.lines ?? []).map(lineFrom),
    currencyCode: row.currency_code,
    totalMinorUnits: row.total_minor_units,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    paidAt: row.paid_at,
    paymentId: row.payment_id,
    holdId: row.hold_id,
    points: row.points,
    refundedMinorUnits: row.refunded_minor_units,
    cancelledAt: row.cancelled_at,
    cancelReason: row.cancel_reason,
    completedAt: row.completed_at,
    version: row.version,
  };
}

function lineFrom(row: LineRow): Line {
  return {
    productId: row.product_id,
    name: row.name,
    quantity: row.quantity,
    // JSON numbers: prices are far below 2^53.
    unitPriceMinorUnits: BigInt(row.unit_price_minor_units),
    prepared: row.prepared,
  };
}
