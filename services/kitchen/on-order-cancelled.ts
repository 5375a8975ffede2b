import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { TicketCancelled } from "../../packages/api/facts.ts";
import type { OrderCancelled } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { KitchenConfig } from "./config.ts";
import { cancelTicket, insertTombstone } from "./store.ts";
import { TICKETS } from "./ticket.ts";

/** Nothing is made for a cancelled order, whichever fact comes first. What is handed over stays so. */
export async function onOrderCancelled(
  app: App<KitchenConfig>,
  tx: Tx,
  { orderId, wasPaid }: OrderCancelled,
): Promise<void> {
  if (!wasPaid) return; // Never paid: no ticket was and none will be.
  const now = app.clock.now();
  // First the row that would keep a ticket from being made: it waits for a ticket being made right now, which the update then sees.
  if (await insertTombstone(tx.sql, app.random.idBeside(orderId), orderId, now)) return;
  const ticket = await cancelTicket(tx.sql, orderId, now);
  if (!ticket) return;
  tx.emit(TicketCancelled, { ticketId: ticket.ticket_id, orderId, at: timestampFromDate(now) });
  tx.changed(TICKETS);
  app.metrics.moves.inc({ aggregate: "ticket", to: "CANCELLED" });
}
