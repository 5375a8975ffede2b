import type { WatchTicketsRequest } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { KitchenConfig } from "./config.ts";
import { lookAtOpen, lookSince } from "./store.ts";
import { TICKETS, ticketMessage } from "./ticket.ts";

const OPEN_ROWS_MAX = 1_000;

/** The open tickets, then each that changes. Between two looks a ticket may move twice: then only where it ended is told. */
export async function* watchTickets(
  app: App<KitchenConfig>,
  _caller: Caller,
  _req: WatchTicketsRequest,
  signal: AbortSignal,
) {
  let { tickets, horizon } = await lookAtOpen(app.sql, OPEN_ROWS_MAX);
  let told = new Map<string, bigint>();
  while (!signal.aborted) {
    // The wait begins before the rows go out and the next look, so that no change falls in between.
    const change = app.watch.next(TICKETS, signal);
    for (const ticket of tickets)
      if (told.get(ticket.ticket_id) !== ticket.version) yield { ticket: ticketMessage(ticket) };
    // What was told before comes again only if the last look had it too.
    told = new Map(tickets.map(({ ticket_id, version }) => [ticket_id, version]));
    await change;
    if (signal.aborted) return;
    ({ tickets, horizon } = await lookSince(app.sql, horizon));
  }
}
