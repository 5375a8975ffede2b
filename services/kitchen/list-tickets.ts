import { type ListTicketsRequest, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { isUuid } from "../../packages/database/ids.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { KitchenConfig } from "./config.ts";
import { listTicketRows } from "./store.ts";
import { type Status, ticketMessage } from "./ticket.ts";

const PAGE_SIZE = 50;

/** Oldest first. The token is the last id of the page: ids are in the order of their making. */
export async function listTickets(
  app: App<KitchenConfig>,
  _caller: Caller,
  { pageSize, pageToken, status, orderId }: ListTicketsRequest,
) {
  if (pageToken && !isUuid(pageToken)) throw invalidField("page_token", "is not a token this list gave");
  const size = pageSize || PAGE_SIZE;
  const rows = await listTicketRows(
    app.sql,
    { status: statusName(status), orderId: orderId || null },
    pageToken || null,
    size + 1,
  );
  const page = rows.slice(0, size);
  return { tickets: page.map(ticketMessage), nextPageToken: rows.length > size ? (page.at(-1)?.ticket_id ?? "") : "" };
}

function statusName(status: TicketStatus): Status | null {
  const names = Object.entries(TicketStatus).flatMap(([name, value]) =>
    value === status && value !== TicketStatus.UNSPECIFIED ? [name] : [],
  );
  // An enum object's keys are its names; UNSPECIFIED was left out.
  return (names[0] as Status | undefined) ?? null;
}
