import {
  type ListTicketsRequest,
  TicketStatus,
  TicketStatusSchema,
} from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import type { KitchenConfig } from "./config.ts";
import { listTicketRows } from "./store.ts";
import { type Status, ticketMessage } from "./ticket.ts";

/** Oldest first: ids are in the order of their making. */
export async function listTickets(app: App<KitchenConfig>, _caller: Caller, req: ListTicketsRequest) {
  const filter = { status: statusOf(req), orderId: req.orderId || null };
  const { page, nextPageToken } = await readPage(
    req,
    filter,
    (after, rowsMax) => listTicketRows(app.sql, filter, after, rowsMax),
    (row) => row.ticket_id,
  );
  return { tickets: page.map(ticketMessage), nextPageToken };
}

function statusOf({ status }: ListTicketsRequest): Status | null {
  // The enum's local names without the prefix are the states themselves.
  return status === TicketStatus.UNSPECIFIED ? null : (TicketStatusSchema.value[status]?.localName as Status);
}
