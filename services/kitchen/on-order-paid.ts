import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { TicketQueued } from "../../packages/api/facts.ts";
import type { OrderPaid } from "../../packages/api/gen/bodega/order/v1/events_pb.ts";
import { WorkTicket } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import type { KitchenConfig } from "./config.ts";
import { insertTicket } from "./store.ts";
import { TICKETS } from "./ticket.ts";
import { ACCEPT_MS, later } from "./work-ticket.ts";

/** A ticket with what has to be prepared, if anything has. */
export async function onOrderPaid(app: App<KitchenConfig>, { body, tx }: Message<OrderPaid>): Promise<void> {
  const { orderId, lines } = body;
  const prepared = lines
    .filter((line) => line.prepared)
    .map(({ productId, name, quantity }) => ({ product_id: productId, name, quantity }));
  if (prepared.length === 0) return;
  const ticketId = app.random.idBeside(orderId);
  const now = app.clock.now();
  if (!(await insertTicket(tx.sql, ticketId, orderId, prepared, now))) return;
  tx.emit(TicketQueued, { ticketId, orderId, at: timestampFromDate(now) });
  if (app.config.staff) tx.enqueue(WorkTicket, { ticketId }, later(app, ACCEPT_MS));
  tx.changed(TICKETS);
  app.metrics.moves.inc({ aggregate: "ticket", to: "QUEUED" });
}
