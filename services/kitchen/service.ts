import { OrderCancelled, OrderPaid } from "../../packages/api/facts.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { WorkTicket } from "../../packages/api/jobs.ts";
import { answers, does, on, service } from "../../packages/service/service.ts";
import type { KitchenConfig } from "./config.ts";
import { listTickets } from "./list-tickets.ts";
import { acceptTicket, handOver, markReady } from "./move-ticket.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { watchTickets } from "./watch-tickets.ts";
import { workTicket } from "./work-ticket.ts";

/** Tickets, and the simulated staff. */
export const kitchen = (config: KitchenConfig) =>
  service<KitchenConfig>({
    name: "kitchen",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    answers: [answers(KitchenService, { listTickets, acceptTicket, markReady, handOver, watchTickets })],
    hears: [on(OrderPaid, onOrderPaid), on(OrderCancelled, onOrderCancelled)],
    does: [does(WorkTicket, workTicket)],
  });
