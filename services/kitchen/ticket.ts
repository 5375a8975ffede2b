import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { TicketAccepted, TicketHandedOver, TicketReady } from "../../packages/api/facts.ts";
import { type TicketSchema, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";

export type Status = Exclude<keyof typeof TicketStatus, "UNSPECIFIED">;
/** What people and staff do; cancelling follows the order. */
export type Step = "ACCEPTED" | "READY" | "HANDED_OVER";

export const STEPS = {
  ACCEPTED: { from: "QUEUED", fact: TicketAccepted },
  READY: { from: "ACCEPTED", fact: TicketReady },
  HANDED_OVER: { from: "READY", fact: TicketHandedOver },
} as const satisfies Record<Step, { from: Status; fact: unknown }>;

/** What watchers wait for. */
export const TICKETS = "tickets";

export const OPEN: Status[] = ["QUEUED", "ACCEPTED", "READY"];

export interface Line {
  product_id: string;
  name: string;
  quantity: number;
}

/** A row of `tickets`. */
export interface Ticket {
  ticket_id: string;
  order_id: string;
  status: Status;
  lines: Line[];
  staff: string;
  queued_at: Date;
  accepted_at: Date | null;
  ready_at: Date | null;
  handed_over_at: Date | null;
  cancelled_at: Date | null;
  version: bigint;
}

export function ticketMessage(ticket: Ticket): MessageInitShape<typeof TicketSchema> {
  return {
    ticketId: ticket.ticket_id,
    orderId: ticket.order_id,
    status: TicketStatus[ticket.status],
    lines: ticket.lines.map(({ product_id, name, quantity }) => ({ productId: product_id, name, quantity })),
    staff: ticket.staff,
    queuedAt: timestampFromDate(ticket.queued_at),
    ...at("acceptedAt", ticket.accepted_at),
    ...at("readyAt", ticket.ready_at),
    ...at("handedOverAt", ticket.handed_over_at),
    ...at("cancelledAt", ticket.cancelled_at),
    version: ticket.version,
  };
}

function at<K extends string>(field: K, date: Date | null): { [key in K]?: Timestamp } {
  // The object has this one key, or none.
  return (date ? { [field]: timestampFromDate(date) } : {}) as { [key in K]?: Timestamp };
}
