import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import {
  AcceptTicketResponseSchema,
  HandOverResponseSchema,
  KitchenService,
  ListTicketsResponseSchema,
  MarkReadyResponseSchema,
  type Ticket,
  TicketStatus,
  TicketStatusSchema,
} from "../../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import type { Group } from "../command-line.ts";
import { all } from "../names.ts";
import type { Shop } from "../shop.ts";
import { time, word } from "../words.ts";

const OPEN = [TicketStatus.QUEUED, TicketStatus.ACCEPTED, TicketStatus.READY];

export const kitchen: Group = (program, at) => {
  const group = program.command("kitchen").description("What the kitchen has to make");

  group
    .command("list")
    .description("Open tickets, oldest first")
    .option("--all", "closed ones too")
    .option("--order <id>", "of this order alone", "")
    .action(async (options) => {
      const shop = at();
      const wanted = options.all ? [TicketStatus.UNSPECIFIED] : OPEN;
      const lists = wanted.map((status) =>
        all(
          (page) => shop.call(KitchenService).listTickets({ ...page, status, orderId: options.order }),
          (page) => page.tickets,
        ),
      );
      // Ids are in the order of time.
      const tickets = (await Promise.all(lists)).flat().sort((a, b) => (a.ticketId < b.ticketId ? -1 : 1));
      shop.show(ListTicketsResponseSchema, create(ListTicketsResponseSchema, { tickets }), () =>
        ticketTable(shop, tickets),
      );
    });

  function move<M extends DescMessage>(
    name: string,
    what: string,
    schema: M,
    ask: (
      kitchen: Client<typeof KitchenService>,
      ticketId: string,
    ) => Promise<MessageShape<M> & { ticket?: Ticket | undefined }>,
  ) {
    group
      .command(name)
      .description(what)
      .argument("<ticket>", "its id")
      .action(async (ticketId) => {
        const shop = at();
        const reply = await ask(shop.call(KitchenService), ticketId);
        shop.show(schema, reply, () => ticketTable(shop, reply.ticket ? [reply.ticket] : []));
      });
  }
  move("accept", "Somebody starts to cook", AcceptTicketResponseSchema, (staff, ticketId) =>
    staff.acceptTicket({ ticketId }),
  );
  move("ready", "It is cooked", MarkReadyResponseSchema, (staff, ticketId) => staff.markReady({ ticketId }));
  move("hand-over", "The customer has it; the order is completed", HandOverResponseSchema, (staff, ticketId) =>
    staff.handOver({ ticketId }),
  );
};

function ticketTable({ terminal }: Shop, tickets: Ticket[]): void {
  terminal.table(
    ["TICKET", "STATUS", "WHAT", "STAFF", "SINCE", "ORDER"],
    tickets.map((each) => [
      each.ticketId,
      word(TicketStatusSchema, each.status),
      each.lines.map(({ quantity, name }) => `${quantity} ${name}`).join(", "),
      each.staff,
      time(each.queuedAt),
      each.orderId,
    ]),
  );
}
