import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import * as facts from "../../packages/api/facts.ts";
import { ActivityService, TakingKindSchema } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import { CancelReason, CancelReasonSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["activity"] });
});
afterAll(() => system.close());

const admin = () => system.as("admin", ActivityService);

/** A fact of a type that nobody knows yet, at a time. */
function happened(type: string, at: string | Date, key = system.random.id()): FactEnvelope {
  const message = factMessage(system, facts.OrderCompleted, { orderId: key });
  return { ...message, type, time: new Date(at) };
}

async function countsOf(date: string, timeZone = ""): Promise<Record<string, bigint>> {
  const { counts } = await admin().getDay({ date, timeZone });
  return Object.fromEntries(counts.map(({ type, quantity }) => [type, quantity]));
}

describe("counting", () => {
  test("is of facts of every type, those too that nobody knows yet", async () => {
    await tell(
      system,
      happened("order.created", "2026-02-01T10:00:00Z"),
      happened("order.teleported", "2026-02-01T10:00:01Z"),
    );
    expect(await countsOf("2026-02-01")).toEqual({ "order.created": 1n, "order.teleported": 1n });
  });

  test("is on the day it happened, however late it comes, and once however often it comes", async () => {
    const late = happened("order.paid", "2026-02-02T23:59:59.999Z");
    const early = happened("order.paid", "2026-02-03T00:00:00.000Z");
    await tell(system, early, late, early);
    await tell(system, late);
    expect(await countsOf("2026-02-02")).toEqual({ "order.paid": 1n });
    expect(await countsOf("2026-02-03")).toEqual({ "order.paid": 1n });
  });

  test("a day of many facts is one row a type and quarter hour", async () => {
    const at = Date.parse("2026-02-04T00:00:00Z");
    const many = Array.from({ length: 2_000 }, (_, n) => happened("order.created", new Date(at + n * 40_000)));
    await tell(system, ...many);
    const rows = await system.app("activity")
      .sql`select from counts where at >= ${new Date(at)} and at < ${new Date(at + DAY_MS)}`;
    expect(await countsOf("2026-02-04")).toEqual({ "order.created": 2_000n });
    expect(rows.length).toBeLessThanOrEqual(96);
  });

  test("poison is parked, its neighbours count, and once it is replayed nothing has changed", async () => {
    const poison = { ...happened("order.created", "2026-02-05T10:00:00Z"), body: new Uint8Array([0xff, 0xff]) };
    await tell(
      system,
      happened("order.created", "2026-02-05T09:00:00Z"),
      poison,
      happened("order.created", "2026-02-05T11:00:00Z"),
    );
    expect(await countsOf("2026-02-05")).toEqual({ "order.created": 2n });
    const parked = await system.app("activity").sql<
      { parked_id: string; error: string }[]
    >`select parked_id, error from parked`;
    expect(parked).toMatchObject([{ parked_id: poison.id, error: expect.stringContaining("OrderCreated") }]);
  });

  test.each([["Order Created"], ["order"], [`order.${"x".repeat(80)}`]])(
    "%p is no type: it is parked",
    async (type) => {
      const odd = happened(type, "2026-02-06T10:00:00Z");
      await tell(system, odd, happened("order.paid", "2026-02-06T10:00:00Z"));
      expect(Object.keys(await countsOf("2026-02-06"))).toEqual(["order.paid"]);
      expect(await system.app("activity").sql`select 1 from parked where parked_id = ${odd.id}`).toHaveLength(1);
    },
  );
});

describe("money", () => {
  const money = (minorUnits: bigint, currencyCode = "EUR") => ({ currencyCode, minorUnits });
  const on = <M>(message: M & FactEnvelope) => ({ ...message, time: new Date("2026-02-10T12:00:00Z") });

  test("is told by what became of it, and by currency", async () => {
    const id = () => system.random.id();
    await tell(
      system,
      ...[450n, 550n].map((total) =>
        on(factMessage(system, facts.OrderCreated, { orderId: id(), total: money(total) })),
      ),
      on(factMessage(system, facts.OrderCreated, { orderId: id(), total: money(99n, "JPY") })),
      on(factMessage(system, facts.OrderPaid, { orderId: id(), total: money(450n) })),
      on(factMessage(system, facts.OrderPaid, { orderId: id(), total: money(550n), holdId: id() })),
      on(factMessage(system, facts.OrderCancelled, { orderId: id(), total: money(7n), reason: CancelReason.EXPIRED })),
      on(
        factMessage(system, facts.OrderCancelled, {
          orderId: id(),
          total: money(8n),
          reason: CancelReason.OUT_OF_STOCK,
        }),
      ),
      on(factMessage(system, facts.OrderCancelled, { orderId: id(), total: money(9n), reason: CancelReason.EXPIRED })),
      on(factMessage(system, facts.PaymentRefunded, { paymentId: id(), amount: money(3n) })),
      on(factMessage(system, facts.PaymentRefundReversed, { paymentId: id(), amount: money(2n) })),
    );
    const { takings } = await admin().getDay({ date: "2026-02-10" });
    const told = takings.map(({ kind, cancelReason, amount, quantity }) =>
      [
        TakingKindSchema.value[kind]?.localName,
        CancelReasonSchema.value[cancelReason]?.localName,
        amount?.currencyCode,
        amount?.minorUnits,
        quantity,
      ].join(" "),
    );
    expect(told).toEqual([
      "CANCELLED EXPIRED EUR 16 2",
      "CANCELLED OUT_OF_STOCK EUR 8 1",
      "PAID UNSPECIFIED EUR 450 1",
      "PAID_IN_POINTS UNSPECIFIED EUR 550 1",
      "PLACED UNSPECIFIED EUR 1000 2",
      "PLACED UNSPECIFIED JPY 99 1",
      "REFUNDED UNSPECIFIED EUR 3 1",
      "REFUND_REVERSED UNSPECIFIED EUR 2 1",
    ]);
  });
});

describe("time zones", () => {
  test("the hours of a day are the zone's own, and together they are the day", async () => {
    // Kathmandu's 2026-02-20 is from 18:15 of the day before to 18:15.
    const times = [
      "2026-02-19T18:14:59Z",
      "2026-02-19T18:15:00Z",
      "2026-02-19T19:14:59Z",
      "2026-02-19T19:15:00Z",
      "2026-02-20T18:14:59Z",
    ];
    await tell(system, ...times.map((at) => happened("user.verified", at)));
    const { hours, counts, timeZone } = await admin().getDay({
      date: "2026-02-20",
      timeZone: "asia/kathmandu",
      hourly: true,
    });
    expect(timeZone).toBe("Asia/Kathmandu");
    expect(counts).toMatchObject([{ type: "user.verified", quantity: 4n }]);
    expect(hours).toHaveLength(24);
    expect(hours.map(({ counts }) => counts[0]?.quantity ?? 0n).map(Number)).toEqual([2, 1, ...Array(21).fill(0), 1]);
    expect(hours[0]?.startsAt?.seconds).toBe(BigInt(Date.parse("2026-02-19T18:15:00Z") / 1_000));
  });

  test("whatever the zone, every fact is on one day, and in one hour of it", async () => {
    const zones = [
      "UTC",
      "Europe/Berlin",
      "America/New_York",
      "Asia/Kolkata",
      "Australia/Lord_Howe",
      "Pacific/Chatham",
      "Pacific/Kiritimati",
    ];
    const from = Date.parse("2026-10-20T00:00:00Z");
    const times = fc.sample(fc.integer({ min: 0, max: 14 * DAY_MS - 1 }), { numRuns: 500, seed: 7 });
    await tell(system, ...times.map((ms) => happened("ticket.ready", new Date(from + ms))));
    for (const timeZone of zones) {
      const { days } = await admin().listDays({ fromDate: "2026-10-18", toDate: "2026-11-05", timeZone });
      const sums = days.map(({ counts }) => counts.find(({ type }) => type === "ticket.ready")?.quantity ?? 0n);
      expect(sums.reduce((a, b) => a + b)).toBe(500n);
      for (const [index, { date }] of days.entries()) {
        const { hours } = await admin().getDay({ date, timeZone, hourly: true });
        const hourly = hours.flatMap(({ counts }) => counts).filter(({ type }) => type === "ticket.ready");
        expect(hourly.reduce((sum, { quantity }) => sum + quantity, 0n)).toBe(sums[index] ?? -1n);
      }
    }
  });

  test("what is no zone, or no date, is refused by name", async () => {
    expect(await refusal(admin().getDay({ timeZone: "Mars/Olympus" }))).toMatchObject({ code: Code.InvalidArgument });
    expect((await refusal(admin().getDay({ date: "2026-02-30" }))).message).toContain("found 2026-02-30");
    expect((await refusal(admin().listDays({ fromDate: "2026-02-30" }))).message).toContain("from_date");
  });
});

describe("lists", () => {
  test("have every day of the range, newest first, also the empty ones, page by page", async () => {
    await tell(system, happened("order.paid", "2026-12-01T10:00:00Z"), happened("order.paid", "2026-12-04T10:00:00Z"));
    const range = { fromDate: "2026-12-01", toDate: "2026-12-05", pageSize: 2 };
    const seen: string[] = [];
    for (let pageToken = ""; ; ) {
      const { days, nextPageToken } = await admin().listDays({ ...range, pageToken });
      seen.push(...days.map(({ date, counts }) => `${date} ${counts.length}`));
      if (!nextPageToken) break;
      pageToken = nextPageToken;
    }
    expect(seen).toEqual(["2026-12-05 0", "2026-12-04 1", "2026-12-03 0", "2026-12-02 0", "2026-12-01 1"]);
  });

  test("begin today and end where counting began, unless they are told otherwise", async () => {
    await tell(system, happened("order.paid", "2026-01-03T10:00:00Z"));
    const { days } = await admin().listDays({ pageSize: 100 });
    expect(days.map(({ date }) => date)).toEqual(["2026-01-05", "2026-01-04", "2026-01-03"]);
    expect((await admin().listDays({ fromDate: "2026-12-05", toDate: "2026-12-01" })).days).toEqual([]);
  });

  test("take no token of another list", async () => {
    const { nextPageToken } = await admin().listDays({ toDate: "2026-12-05", pageSize: 1 });
    expect(
      (await refusal(admin().listDays({ toDate: "2026-12-06", pageSize: 1, pageToken: nextPageToken }))).message,
    ).toContain("page_token");
  });
});

describe("watching", () => {
  test("tells today as it is, then each change, and at midnight the new day", async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { date, counts } of admin().watchToday({}, { signal: stop.signal }))
        seen.push(`${date} ${counts.find(({ type }) => type === "user.registered")?.quantity ?? 0n}`);
    })().catch(() => "ended");
    const until = async (line: string) => {
      while (!seen.includes(line)) await Bun.sleep(5);
    };
    const today = system.clock.now().toISOString().slice(0, 10);
    await until(`${today} 0`);
    await tell(system, happened("user.registered", system.clock.now()));
    await until(`${today} 1`);
    system.clock.advance(DAY_MS);
    const tomorrow = system.clock.now().toISOString().slice(0, 10);
    await tell(system, happened("user.registered", system.clock.now()));
    await until(`${tomorrow} 1`);
    stop.abort();
    expect(await watching).toBe("ended");
    expect(new Set(seen).size).toBe(seen.length);
  });
});

test("all of it is for admins", async () => {
  const customer = system.as(system.newCustomer(), ActivityService);
  expect(await refusal(customer.getDay({}))).toMatchObject({ code: Code.PermissionDenied });
  expect(await refusal(customer.listDays({}))).toMatchObject({ code: Code.PermissionDenied });
  expect(await refusal(customer.rebuildDay({ date: "2026-02-01" }))).toMatchObject({ code: Code.PermissionDenied });
});
