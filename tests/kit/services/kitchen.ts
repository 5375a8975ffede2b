// The kitchen alone, told of orders by the test.
import { type Client, ConnectError } from "@connectrpc/connect";
import {
  OrderCancelled,
  OrderPaid,
  TicketAccepted,
  TicketCancelled,
  TicketHandedOver,
  TicketQueued,
  TicketReady,
} from "../../../packages/api/facts.ts";
import { KitchenService, type Ticket } from "../../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { reasonOf } from "../../../packages/service/errors.ts";
import { collectFacts, factMessage, hearing, type Told, tell } from "../messages.ts";
import { type System, startSystem } from "../system.ts";

const FACTS = [TicketQueued, TicketAccepted, TicketReady, TicketHandedOver, TicketCancelled];

export interface Kitchen {
  system: System;
  kitchen: Client<typeof KitchenService>;
  told: Told[];
}

export async function startKitchen(staff: "on" | "off"): Promise<Kitchen> {
  const system = await startSystem({ services: ["kitchen"], env: { KITCHEN_STAFF: staff } });
  await hearing(system, "kitchen", factMessage(system, OrderPaid, { orderId: system.random.id() }));
  return { system, kitchen: system.as("kitchen", KitchenService), told: await collectFacts(system, FACTS) };
}

export function paid({ system }: Kitchen, orderId = system.random.idFor(system.random.id())) {
  const [soup, book] = [system.random.id(), system.random.id()];
  const lines = [
    { productId: soup, name: "Soup", quantity: 2, prepared: true },
    { productId: book, name: "Book", quantity: 1, prepared: false },
  ];
  return { orderId, soup, message: factMessage(system, OrderPaid, { orderId, lines }) };
}

export const cancelled = ({ system }: Kitchen, orderId: string, wasPaid = true) =>
  factMessage(system, OrderCancelled, { orderId, wasPaid });

export async function queued(bench: Kitchen) {
  const { orderId, message } = paid(bench);
  await tell(bench.system, message);
  return only(bench, orderId);
}

export async function only({ kitchen }: Kitchen, orderId: string): Promise<Ticket> {
  const { tickets } = await kitchen.listTickets({ orderId });
  const [ticket] = tickets;
  if (!ticket || tickets.length > 1) throw new Error(`order ${orderId} has ${tickets.length} tickets: expected one`);
  return ticket;
}

export const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => reasonOf(ConnectError.from(error)) ?? String(error),
  );
export const typesOf = ({ told }: Kitchen, ticketId: string) =>
  told.filter(({ key }) => key === ticketId).map(({ type }) => type);

export const MOVES = {
  accept: ({ kitchen }: Kitchen, ticketId: string) => kitchen.acceptTicket({ ticketId }),
  ready: ({ kitchen }: Kitchen, ticketId: string) => kitchen.markReady({ ticketId }),
  handOver: ({ kitchen }: Kitchen, ticketId: string) => kitchen.handOver({ ticketId }),
};
