import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type {
  AcceptTicketRequest,
  HandOverRequest,
  MarkReadyRequest,
} from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound, refused } from "../../packages/service/errors.ts";
import type { KitchenConfig } from "./config.ts";
import { findTicket, moveTicket } from "./store.ts";
import { STEPS, type Step, TICKETS, type Ticket, ticketMessage } from "./ticket.ts";

export const acceptTicket = (app: App<KitchenConfig>, caller: Caller, req: AcceptTicketRequest) =>
  move(app, caller, req.ticketId, "ACCEPTED");
export const markReady = (app: App<KitchenConfig>, caller: Caller, req: MarkReadyRequest) =>
  move(app, caller, req.ticketId, "READY");
export const handOver = (app: App<KitchenConfig>, caller: Caller, req: HandOverRequest) =>
  move(app, caller, req.ticketId, "HANDED_OVER");

/** The three moves of people differ in nothing but their step. A move that is done already is answered alike. */
async function move(app: App<KitchenConfig>, caller: Caller, ticketId: string, step: Step) {
  const ticket = await app.transact(async (tx) => {
    const moved = await takeStep(app, tx, ticketId, step, caller.userId);
    if (moved) return moved;
    const found = await findTicket(tx.sql, ticketId);
    if (!found) throw notFound("ticket", ticketId);
    if (found.status !== step) {
      throw refused(
        Code.FailedPrecondition,
        "ILLEGAL_MOVE",
        `ticket ${ticketId} is ${found.status}: expected ${STEPS[step].from} to become ${step}`,
      );
    }
    return found;
  });
  return { ticket: ticketMessage(ticket) };
}

/** Moves a ticket that stands where the step begins, and tells. */
export async function takeStep(
  app: App<KitchenConfig>,
  tx: Tx,
  ticketId: string,
  step: Step,
  actor: string,
): Promise<Ticket | undefined> {
  const now = app.clock.now();
  const moved = await moveTicket(tx.sql, ticketId, step, actor, now);
  if (!moved) return undefined;
  tx.emit(STEPS[step].fact, { ticketId, orderId: moved.order_id, at: timestampFromDate(now) });
  tx.changed(TICKETS);
  app.metrics.moves.inc({ aggregate: "ticket", to: step });
  return moved;
}
