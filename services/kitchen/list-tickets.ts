import { type ListTicketsRequest, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { stateOf } from "../../packages/service/states.ts";
import type { KitchenConfig } from "./config.ts";
import { listTicketRows } from "./store.ts";
import { ticketMessage } from "./ticket.ts";

/** Oldest first: ids are in the order of their making. */
export async function listTickets(app: App<KitchenConfig>, _caller: Caller, req: ListTicketsRequest) {
  const filter = { status: stateOf(TicketStatus, req.status), orderId: req.orderId || null };
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (after, rowsMax) => listTicketRows(app.sql, filter, after, rowsMax),
    (row) => row.ticket_id,
  );
  return { tickets: page.map(ticketMessage), nextPageToken };
}
