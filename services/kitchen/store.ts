import type { Sql } from "../../packages/database/database.ts";
import { type Line, OPEN, STEPS, type Status, type Step, type Ticket } from "./ticket.ts";

export async function findTicket(sql: Sql, ticketId: string): Promise<Ticket | undefined> {
  const [row] = await sql<Ticket[]>`select * from tickets where ticket_id = ${ticketId} and queued_at is not null`;
  return row;
}

/** The ticket of an order, or the row that keeps one from being made. */
export async function findTicketOf(sql: Sql, orderId: string): Promise<Ticket | undefined> {
  const [row] = await sql<Ticket[]>`select * from tickets where order_id = ${orderId}`;
  return row;
}

export interface Filter {
  status: Status | null;
  orderId: string | null;
}

export function listTicketRows(
  sql: Sql,
  { status, orderId }: Filter,
  after: string | null,
  rowsMax: number,
): Promise<Ticket[]> {
  const ofStatus = status ? sql`status = ${status}` : sql`true`;
  const ofOrder = orderId ? sql`order_id = ${orderId}` : sql`true`;
  return sql<Ticket[]>`
    select * from tickets where queued_at is not null and ${ofStatus} and ${ofOrder} and (${after}::uuid is null or ticket_id > ${after})
    order by ticket_id limit ${rowsMax}`;
}

/** False when the order has a ticket, or was cancelled before it got one. */
export async function insertTicket(
  sql: Sql,
  ticketId: string,
  orderId: string,
  lines: Line[],
  at: Date,
): Promise<boolean> {
  const rows = await sql`
    insert into tickets (ticket_id, order_id, status, lines, queued_at)
    values (${ticketId}, ${orderId}, 'QUEUED', ${JSON.stringify(lines)}::text::jsonb, ${at}) on conflict (order_id) do nothing returning ticket_id`;
  return rows.length === 1;
}

/** Keeps a ticket from being made; false when the order has one already. */
export async function insertTombstone(sql: Sql, ticketId: string, orderId: string, at: Date): Promise<boolean> {
  const rows = await sql`
    insert into tickets (ticket_id, order_id, status, lines, cancelled_at)
    values (${ticketId}, ${orderId}, 'CANCELLED', '[]', ${at}) on conflict (order_id) do nothing returning ticket_id`;
  return rows.length === 1;
}

/** One step further; undefined when the ticket is not where the step begins. */
export async function moveTicket(
  sql: Sql,
  ticketId: string,
  to: Step,
  actor: string,
  at: Date,
): Promise<Ticket | undefined> {
  const stamp = {
    ACCEPTED: sql`staff = ${actor}, accepted_at`,
    READY: sql`ready_at`,
    HANDED_OVER: sql`handed_over_at`,
  }[to];
  const [row] = await sql<Ticket[]>`
    update tickets set status = ${to}, ${stamp} = ${at}, version = version + 1, changed_xid = pg_current_xact_id()
    where ticket_id = ${ticketId} and status = ${STEPS[to].from} returning *`;
  return row;
}

export async function cancelTicket(sql: Sql, orderId: string, at: Date): Promise<Ticket | undefined> {
  const [row] = await sql<Ticket[]>`
    update tickets set status = 'CANCELLED', cancelled_at = ${at}, version = version + 1, changed_xid = pg_current_xact_id()
    where order_id = ${orderId} and status = any(${OPEN}) returning *`;
  return row;
}

/** Some tickets, and what a watcher has seen all of who has seen all up to here: every transaction before `horizon`. */
export interface Look {
  tickets: Seen[];
  horizon: string;
}

export type Seen = Ticket & { changed_xid: string };

/** The open tickets behind one of them, in the order of their ids. */
export async function lookAtOpen(sql: Sql, after: Seen | undefined, rowsMax: number): Promise<Look> {
  return look(
    await sql<LookRow[]>`
    select t.*, h.horizon from (select pg_snapshot_xmin(pg_current_snapshot())::text as horizon) h
    left join lateral (
      select * from tickets where status = any(${OPEN}) and ticket_id > ${after?.ticket_id ?? NO_TICKET}
      order by ticket_id limit ${rowsMax}) t on true`,
  );
}

/** Tickets changed by transactions that an earlier look, with this horizon, may not have seen, behind one of them. Some it has seen come again. */
export async function lookSince(sql: Sql, horizon: string, after: Seen | undefined, rowsMax: number): Promise<Look> {
  return look(
    await sql<LookRow[]>`
    select t.*, h.horizon from (select pg_snapshot_xmin(pg_current_snapshot())::text as horizon) h
    left join lateral (
      select * from tickets where queued_at is not null and changed_xid >= ${horizon}::text::xid8
        and (changed_xid, ticket_id) > (${after?.changed_xid ?? "0"}::text::xid8, ${after?.ticket_id ?? NO_TICKET}::uuid)
      order by changed_xid, ticket_id limit ${rowsMax}) t on true`,
  );
}

/** Before all others. */
const NO_TICKET = "00000000-0000-0000-0000-000000000000";

type LookRow = { horizon: string } & (Seen | { [column in keyof Seen]: null });

function look(rows: LookRow[]): Look {
  const tickets = rows.flatMap(({ horizon: _, ...ticket }) => (ticket.ticket_id === null ? [] : [ticket]));
  return { tickets, horizon: rows[0]?.horizon ?? "0" };
}
