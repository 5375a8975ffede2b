import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { OrderPaid } from "../../packages/api/facts.ts";
import { KitchenService, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import {
  cancelled,
  type Kitchen,
  MOVES,
  only,
  paid,
  queued,
  refusal,
  startKitchen,
  typesOf,
} from "../../tests/kit/services/kitchen.ts";
import type { Status } from "./ticket.ts";

let bench: Kitchen;
beforeAll(async () => {
  bench = await startKitchen("off");
});
afterAll(() => bench.system.close());

describe("a paid order", () => {
  test("becomes one ticket with what has to be prepared, however often it is told", async () => {
    const { orderId, soup, message } = paid(bench);
    await tell(bench.system, message, message);
    await tell(bench.system, message, paid(bench, orderId).message);
    const ticket = await only(bench, orderId);
    expect(ticket).toMatchObject({ status: TicketStatus.QUEUED, staff: "", version: 1n });
    expect(ticket.lines).toMatchObject([{ productId: soup, name: "Soup", quantity: 2 }]);
    expect(ticket.ticketId.slice(20, 23)).toBe(orderId.slice(20, 23));
    expect(typesOf(bench, ticket.ticketId)).toEqual(["ticket.queued"]);
  });

  test("with nothing to prepare has no ticket", async () => {
    const orderId = bench.system.random.idFor(bench.system.random.id());
    await tell(bench.system, factMessage(bench.system, OrderPaid, { orderId, lines: [{ name: "Book", quantity: 1 }] }));
    expect((await bench.kitchen.listTickets({ orderId })).tickets).toEqual([]);
  });

  test("that was cancelled before it was heard to be paid has no ticket", async () => {
    const { orderId, message } = paid(bench);
    await tell(bench.system, cancelled(bench, orderId), message);
    expect((await bench.kitchen.listTickets({ orderId })).tickets).toEqual([]);
    expect(bench.told.some(({ body }) => "orderId" in body && body.orderId === orderId)).toBe(false);
  });

  test("that was never paid leaves nothing when it is cancelled", async () => {
    const orderId = bench.system.random.idFor(bench.system.random.id());
    await tell(bench.system, cancelled(bench, orderId, false));
    expect(await bench.system.app("kitchen").sql`select 1 from tickets where order_id = ${orderId}`).toHaveLength(0);
  });

  test("whose fact cannot be read is parked, and the next is heard", async () => {
    const { orderId, message } = paid(bench);
    const poison = { ...paid(bench).message, body: new Uint8Array([255, 255, 255]) };
    await tell(bench.system, poison, message);
    expect(await bench.system.app("kitchen").sql`select 1 from parked where parked_id = ${poison.id}`).toHaveLength(1);
    expect((await only(bench, orderId)).status).toBe(TicketStatus.QUEUED);
  });
});

describe("a ticket", () => {
  const WAYS: Record<Status, (keyof typeof MOVES | "cancel")[]> = {
    QUEUED: [],
    ACCEPTED: ["accept"],
    READY: ["accept", "ready"],
    HANDED_OVER: ["accept", "ready", "handOver"],
    CANCELLED: ["cancel"],
  };
  /** state before → move → state after and the fact told; or why not. */
  const TABLE: Record<Status, Record<keyof typeof MOVES | "cancel", [Status, string] | "ILLEGAL_MOVE" | "same">> = {
    QUEUED: {
      accept: ["ACCEPTED", "ticket.accepted"],
      ready: "ILLEGAL_MOVE",
      handOver: "ILLEGAL_MOVE",
      cancel: ["CANCELLED", "ticket.cancelled"],
    },
    ACCEPTED: {
      accept: "same",
      ready: ["READY", "ticket.ready"],
      handOver: "ILLEGAL_MOVE",
      cancel: ["CANCELLED", "ticket.cancelled"],
    },
    READY: {
      accept: "ILLEGAL_MOVE",
      ready: "same",
      handOver: ["HANDED_OVER", "ticket.handed_over"],
      cancel: ["CANCELLED", "ticket.cancelled"],
    },
    HANDED_OVER: { accept: "ILLEGAL_MOVE", ready: "ILLEGAL_MOVE", handOver: "same", cancel: "same" },
    CANCELLED: { accept: "ILLEGAL_MOVE", ready: "ILLEGAL_MOVE", handOver: "ILLEGAL_MOVE", cancel: "same" },
  };

  async function go(move: keyof typeof MOVES | "cancel", ticketId: string, orderId: string): Promise<string> {
    if (move !== "cancel") return refusal(MOVES[move](bench, ticketId));
    await tell(bench.system, cancelled(bench, orderId));
    return "done";
  }

  for (const [before, row] of Object.entries(TABLE) as [Status, (typeof TABLE)[Status]][]) {
    for (const [move, expected] of Object.entries(row) as [keyof typeof MOVES | "cancel", (typeof row)["cancel"]][]) {
      const outcome = typeof expected === "string" ? expected : expected[0];
      test(`${before}, ${move}: ${outcome}`, async () => {
        const { ticketId, orderId } = await queued(bench);
        for (const way of WAYS[before]) await go(way, ticketId, orderId);
        await bench.system.settle();
        const was = await only(bench, orderId);
        const told = typesOf(bench, ticketId);
        expect(was.status).toBe(TicketStatus[before]);

        expect(await go(move, ticketId, orderId)).toBe(expected === "ILLEGAL_MOVE" ? "ILLEGAL_MOVE" : "done");
        await bench.system.settle();
        const is = await only(bench, orderId);
        if (typeof expected === "string") {
          expect(is).toEqual(was);
          expect(typesOf(bench, ticketId)).toEqual(told);
        } else {
          expect(is).toMatchObject({ status: TicketStatus[expected[0]], version: was.version + 1n });
          expect(typesOf(bench, ticketId)).toEqual([...told, expected[1]]);
        }
      });
    }
  }

  test("that two people accept at once is accepted once, and both learn by whom", async () => {
    const { ticketId } = await queued(bench);
    const answers = await Promise.all([
      MOVES.accept(bench, ticketId),
      bench.system.as("admin", KitchenService).acceptTicket({ ticketId }),
    ]);
    await bench.system.settle();
    expect(new Set(answers.map(({ ticket }) => ticket?.staff)).size).toBe(1);
    expect(typesOf(bench, ticketId)).toEqual(["ticket.queued", "ticket.accepted"]);
  });

  test("that is handed over and cancelled at once ends in one of the two", async () => {
    const { ticketId, orderId } = await queued(bench);
    await MOVES.accept(bench, ticketId);
    await MOVES.ready(bench, ticketId);
    await Promise.all([refusal(MOVES.handOver(bench, ticketId)), tell(bench.system, cancelled(bench, orderId))]);
    await bench.system.settle();
    const ends = typesOf(bench, ticketId).slice(3);
    expect([["ticket.handed_over"], ["ticket.cancelled"]]).toContainEqual(ends);
  });

  test("that does not exist is not found, and a refusal says what was expected and found", async () => {
    expect(await refusal(MOVES.accept(bench, bench.system.random.id()))).toBe("TICKET_NOT_FOUND");
    const { ticketId } = await queued(bench);
    await expect(MOVES.handOver(bench, ticketId)).rejects.toThrow("is QUEUED: expected READY to become HANDED_OVER");
  });

  test("is the kitchen's: customers and strangers are refused", async () => {
    const { ticketId } = await queued(bench);
    const customer = { ...bench, kitchen: bench.system.as(bench.system.newCustomer(), KitchenService) };
    const stranger = { ...bench, kitchen: bench.system.as("anonymous", KitchenService) };
    for (const move of Object.values(MOVES)) {
      expect(await refusal(move(customer, ticketId))).toBe("PERMISSION_DENIED");
      expect(await refusal(move(stranger, ticketId))).toBe("UNAUTHENTICATED");
    }
    expect(await refusal(customer.kitchen.listTickets({}))).toBe("PERMISSION_DENIED");
    expect(await refusal(customer.kitchen.watchTickets({})[Symbol.asyncIterator]().next())).toBe("PERMISSION_DENIED");
  });
});

describe("the list", () => {
  test("shows the oldest first, a page at a time, by status", async () => {
    const made = [];
    for (let i = 0; i < 5; i++) made.push((await queued(bench)).ticketId);
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await bench.kitchen.listTickets({ pageSize: 2, pageToken, status: TicketStatus.QUEUED });
      expect(page.tickets.every(({ status }) => status === TicketStatus.QUEUED)).toBe(true);
      seen.push(...page.tickets.map(({ ticketId }) => ticketId));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(seen.slice(-5)).toEqual(made);
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(await refusal(bench.kitchen.listTickets({ pageToken: "1" }))).toBe("INVALID_ARGUMENT");
  });
});
