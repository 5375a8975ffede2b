import { OrderCancelled, OrderPaid } from "../../packages/api/facts.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { CancelTicket, WorkTicket } from "../../packages/api/jobs.ts";
import { forever } from "../../packages/database/retention.ts";
import { answers, does, on, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { cancelTicket, cancelTicketLater } from "./cancel-ticket.ts";
import { type KitchenConfig, readConfig } from "./config.ts";
import { listTickets } from "./list-tickets.ts";
import { acceptTicket, handOver, markReady } from "./move-ticket.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { watchTickets } from "./watch-tickets.ts";
import { workTicket } from "./work-ticket.ts";

/** Tickets, and the simulated staff. */
export const kitchen = (env: Environment) =>
  service<KitchenConfig>({
    name: "kitchen",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [forever("tickets", "the business's record")],
    answers: [answers(KitchenService, { listTickets, acceptTicket, markReady, handOver, cancelTicket, watchTickets })],
    hears: [on(OrderPaid, onOrderPaid), on(OrderCancelled, onOrderCancelled)],
    does: [does(WorkTicket, workTicket), does(CancelTicket, cancelTicketLater)],
  });
