import type { WorkTicket } from "../../packages/api/gen/bodega/kitchen/v1/events_pb.ts";
import { WorkTicket as WorkTicketJob } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import type { Message } from "../../packages/service/service.ts";
import type { KitchenConfig } from "./config.ts";
import { takeStep } from "./move-ticket.ts";
import { findTicket } from "./store.ts";
import type { Status, Step } from "./ticket.ts";

/** How long the simulated staff takes, in business time. */
export const ACCEPT_MS = 2_000;
const READY_MS = 5_000;
const HAND_OVER_MS = 3_000;
const STAFF = "staff";

const NEXT: Partial<Record<Status, { step: Step; thenMs?: number }>> = {
  QUEUED: { step: "ACCEPTED", thenMs: READY_MS },
  ACCEPTED: { step: "READY", thenMs: HAND_OVER_MS },
  READY: { step: "HANDED_OVER" },
};

/** The staff's next move. A person may have moved the ticket meanwhile: the staff goes on from there, or has nothing left to do. */
export async function workTicket(app: App<KitchenConfig>, { body, tx }: Message<WorkTicket>): Promise<void> {
  const { ticketId } = body;
  const ticket = await findTicket(tx.sql, ticketId);
  const next = ticket && NEXT[ticket.status];
  if (!next) return;
  await takeStep(app, tx, ticketId, next.step, STAFF);
  // Also when a person was faster just now: there may be a step left.
  if (next.thenMs !== undefined) tx.enqueue(WorkTicketJob, { ticketId }, later(app, next.thenMs));
}

export function later(app: App<KitchenConfig>, ms: number): { at: Date } {
  return { at: new Date(app.clock.now().getTime() + ms) };
}
