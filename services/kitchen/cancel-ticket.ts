import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { TicketCancelled } from "../../packages/api/facts.ts";
import type { CancelTicket } from "../../packages/api/gen/bodega/kitchen/v1/events_pb.ts";
import type { CancelTicketRequest } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import type { KitchenConfig } from "./config.ts";
import { cancelTicket as cancelRow, findTicketOf, insertTombstone } from "./store.ts";
import { TICKETS } from "./ticket.ts";

// The ticket's row decides between hand-over and cancellation: one conditional update each, and whoever comes first wins.

/** Asked by the order before it cancels what is paid. */
export async function cancelTicket(app: App<KitchenConfig>, _caller: Caller, { orderId }: CancelTicketRequest) {
  const ticket = await app.transact(async (tx) => {
    await answer(app, tx, orderId);
    return findTicketOf(tx.sql, orderId);
  });
  if (ticket?.status === "HANDED_OVER")
    throw refused(
      Code.FailedPrecondition,
      "TICKET_HANDED_OVER",
      `order ${orderId} was handed over at ${ticket.handed_over_at?.toISOString()}: it cannot be cancelled any more`,
    );
  return {};
}

/** Asked by an order whose money went back: ticket.cancelled answers, or ticket.handed_over has. */
export async function cancelTicketLater(app: App<KitchenConfig>, { body, tx }: Message<CancelTicket>) {
  await answer(app, tx, body.orderId);
}

/** Who asked waits for ticket.cancelled, also where there is no ticket and none will be. */
async function answer(app: App<KitchenConfig>, tx: Tx, orderId: string): Promise<void> {
  const stopped = await stop(app, tx, orderId);
  if (stopped && !stopped.wasTicket) tellCancelled(app, tx, orderId, stopped.ticketId);
}

/** Nothing more is made for an order, whichever of its facts comes first. What is handed over stays so: undefined, as when it was stopped before. */
export async function stop(app: App<KitchenConfig>, tx: Tx, orderId: string) {
  const now = app.clock.now();
  const tombstoneId = app.random.idBeside(orderId);
  // First the row that would keep a ticket from being made: it waits for a ticket being made right now, which the update then sees.
  if (await insertTombstone(tx.sql, tombstoneId, orderId, now)) return { ticketId: tombstoneId, wasTicket: false };
  const ticket = await cancelRow(tx.sql, orderId, now);
  if (!ticket) return undefined;
  tellCancelled(app, tx, orderId, ticket.ticket_id);
  tx.changed(TICKETS);
  app.metrics.moves.inc({ aggregate: "ticket", to: "CANCELLED" });
  return { ticketId: ticket.ticket_id, wasTicket: true };
}

function tellCancelled(app: App<KitchenConfig>, tx: Tx, orderId: string, ticketId: string) {
  tx.emit(TicketCancelled, { ticketId, orderId, at: timestampFromDate(app.clock.now()) });
}
