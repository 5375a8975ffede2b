import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { KitchenService, TicketStatus } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { WorkTicket } from "../../packages/api/jobs.ts";
import { ask, tell } from "../../tests/kit/messages.ts";
import {
  cancelled,
  type Kitchen,
  MOVES,
  only,
  queued,
  startKitchen,
  typesOf,
} from "../../tests/kit/services/kitchen.ts";
import { readConfig } from "./config.ts";

let bench: Kitchen;
let staffed: Kitchen;
beforeAll(async () => {
  [bench, staffed] = await Promise.all([startKitchen("off"), startKitchen("on")]);
});
afterAll(async () => {
  await bench.system.close();
  await staffed.system.close();
});

describe("watching", () => {
  test("tells the open tickets, then each change once, also of tickets that come later", async () => {
    const open = await queued(bench);
    const stop = new AbortController();
    const seen: string[] = [];
    const news = (async () => {
      for await (const { ticket } of bench.kitchen.watchTickets({}, { signal: stop.signal })) {
        seen.push(`${ticket?.ticketId} ${ticket?.status}`);
      }
    })().catch((error: unknown) => ConnectError.from(error).message);
    const until = async (line: string) => {
      while (!seen.includes(line)) await Bun.sleep(5);
    };
    await until(`${open.ticketId} ${TicketStatus.QUEUED}`);
    const snapshot = seen.length;
    await MOVES.accept(bench, open.ticketId);
    await until(`${open.ticketId} ${TicketStatus.ACCEPTED}`);
    const later = await queued(bench);
    await until(`${later.ticketId} ${TicketStatus.QUEUED}`);
    await tell(bench.system, cancelled(bench, later.orderId));
    await until(`${later.ticketId} ${TicketStatus.CANCELLED}`);
    stop.abort();
    await news;
    expect(seen.slice(snapshot)).toHaveLength(3);
    expect(new Set(seen).size).toBe(seen.length);
  });
});

describe("the simulated staff", () => {
  test("accepts after 2 s, is ready 5 s later and hands over 3 s later", async () => {
    const { ticketId, orderId } = await queued(staffed);
    const steps: [number, TicketStatus][] = [
      [1_999, TicketStatus.QUEUED],
      [1, TicketStatus.ACCEPTED],
      [4_999, TicketStatus.ACCEPTED],
      [1, TicketStatus.READY],
      [2_999, TicketStatus.READY],
      [1, TicketStatus.HANDED_OVER],
    ];
    for (const [ms, status] of steps) {
      await staffed.system.advance(ms);
      expect((await only(staffed, orderId)).status).toBe(status);
    }
    expect((await only(staffed, orderId)).staff).toBe("staff");
    await staffed.system.advance(60_000);
    expect(typesOf(staffed, ticketId)).toEqual([
      "ticket.queued",
      "ticket.accepted",
      "ticket.ready",
      "ticket.handed_over",
    ]);
  });

  test("goes on from where a person was, and has nothing to do once one has finished", async () => {
    const [helped, done] = [await queued(staffed), await queued(staffed)];
    const user = staffed.system.as("admin", KitchenService);
    await user.acceptTicket({ ticketId: helped.ticketId });
    for (const move of Object.values(MOVES)) await move(staffed, done.ticketId);
    await staffed.system.advance(2_000);
    expect(await only(staffed, helped.orderId)).toMatchObject({
      status: TicketStatus.READY,
      staff: staffed.system.admin.userId,
    });
    await staffed.system.advance(3_000);
    expect((await only(staffed, helped.orderId)).status).toBe(TicketStatus.HANDED_OVER);
    expect(typesOf(staffed, done.ticketId)).toHaveLength(4);
  });

  test("leaves a cancelled ticket alone, and a job that comes for no ticket", async () => {
    const { ticketId, orderId } = await queued(staffed);
    await tell(staffed.system, cancelled(staffed, orderId));
    await ask(staffed.system, WorkTicket, { ticketId: staffed.system.random.id() });
    await staffed.system.advance(60_000);
    expect(typesOf(staffed, ticketId)).toEqual(["ticket.queued", "ticket.cancelled"]);
    expect(await staffed.system.app("kitchen").sql`select 1 from parked`).toHaveLength(0);
  });

  test("is switched by KITCHEN_STAFF, which is on or off", () => {
    expect(readConfig({})).toEqual({ staff: true });
    expect(readConfig({ KITCHEN_STAFF: "off" })).toEqual({ staff: false });
    expect(() => readConfig({ KITCHEN_STAFF: "yes" })).toThrow("KITCHEN_STAFF must be on or off, found yes");
  });
});
