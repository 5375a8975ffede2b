import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import * as facts from "../../packages/api/facts.ts";
import {
  type Event,
  EventLogService,
  type ListEventsRequestSchema,
} from "../../packages/api/gen/bodega/eventlog/v1/eventlog_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { readConfig } from "./config.ts";

setDefaultTimeout(120_000);

type Filter = MessageInitShape<typeof ListEventsRequestSchema>;

let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["eventlog"] });
});
afterAll(() => system.close());

const admin = () => system.as("admin", EventLogService);

async function all(filter: Filter): Promise<Event[]> {
  const events: Event[] = [];
  for (let pageToken = ""; ; ) {
    const page = await admin().listEvents({ oldestFirst: true, pageSize: 3, ...filter, pageToken });
    events.push(...page.events);
    if (!page.nextPageToken) return events;
    pageToken = page.nextPageToken;
  }
}

/** An order's life as its facts tell it: of the order, its stock, its payment and its ticket. */
function lifeOf(orderId: string): FactEnvelope[] {
  return [
    factMessage(system, facts.OrderCreated, { orderId }),
    factMessage(system, facts.StockReserved, { orderId }),
    factMessage(system, facts.PaymentCaptured, { paymentId: system.random.id(), orderId }),
    factMessage(system, facts.OrderPaid, { orderId }),
    factMessage(system, facts.TicketQueued, { ticketId: system.random.id(), orderId }),
    factMessage(system, facts.PointsGranted, { userId: system.random.id(), orderId, amount: 1n }),
  ];
}

describe("recording", () => {
  test("keeps a fact as it was told, in the order it came, once however often it comes", async () => {
    const orderId = system.random.id();
    const life = lifeOf(orderId);
    await tell(system, ...life);
    await tell(system, ...life);
    const events = await all({ orderId });
    expect(events.map(({ eventId, type, subject }) => ({ eventId, type, subject }))).toEqual(
      life.map(({ id, type, key }) => ({ eventId: id, type, subject: key })),
    );
    const sequences = events.map(({ sequence }) => Number(sequence));
    expect(sequences).toEqual(sequences.map((_, index) => (sequences[0] ?? 0) + index));
    expect(events[0]).toMatchObject({
      source: "bodega/test",
      traceId: "11111111111111111111111111111111",
      correlationId: "test",
      body: JSON.stringify({ orderId }),
    });
  });

  test("takes what nobody can read too: a type that is not known yet, and a body that is none", async () => {
    const subject = system.random.id();
    const [one] = lifeOf(subject);
    if (!one) throw new Error("expected a fact");
    await tell(
      system,
      { ...one, id: system.random.id(), type: "order.teleported" },
      { ...one, id: system.random.id(), body: Uint8Array.of(255, 255) },
    );
    const events = await all({ subject });
    expect(events.map(({ type, body, orderId }) => [type, body, orderId])).toEqual([
      ["order.teleported", "", ""],
      ["order.created", "", ""],
    ]);
    expect(await system.app("eventlog").sql`select 1 from parked`).toHaveLength(0);
  });

  test("is one statement a batch, and a thousand facts are linked like one", async () => {
    const before = (await admin().verifyChain({})).head?.sequence ?? 0n;
    await tell(
      system,
      ...Array.from({ length: 1_000 }, () => factMessage(system, facts.OrderPaid, { orderId: system.random.id() })),
    );
    const { intact, head } = await admin().verifyChain({ eventsMax: 100_000 });
    expect(intact).toBe(true);
    expect((head?.sequence ?? 0n) - before).toBe(1_000n);
  });

  test("goes on behind what others have recorded at the same time", async () => {
    const second = Array.from({ length: 4 }, () => lifeOf(system.random.id()));
    await Promise.all(second.map((life) => system.platform.events.publish(life)));
    await system.settle();
    expect((await admin().verifyChain({ eventsMax: 100_000 })).intact).toBe(true);
  });
});

describe("nobody changes or removes anything", () => {
  test.each([
    "update events set body = ''",
    "delete from events",
    "truncate events",
    "update checkpoints set hash = hash",
    "delete from checkpoints",
    "delete from seals",
  ])("%s is refused to the service's own role", async (statement) => {
    const outcome = await system
      .app("eventlog")
      .sql.unsafe(statement)
      .then(() => "done", String);
    expect(outcome).toContain("permission denied");
  });

  test.each([
    ["update events set body = ''", "events"],
    ["delete from events", "events"],
    ["truncate events", "events"],
    ["delete from events_2026_01", "events"],
    ["truncate events_2026_01", "events"],
    ["delete from checkpoints", "checkpoints"],
  ])("%s is refused even to who was given the right", async (statement, table) => {
    const told = system.app("eventlog").transact(async ({ sql }) => {
      await sql.unsafe("grant all on all tables in schema public to current_user");
      await sql.unsafe(statement);
    });
    expect(await told.then(() => "done", String)).toMatch(new RegExp(`${table}\\w* is append-only`));
  });
});

describe("listing", () => {
  test("is by subject, type, order and time, newest first unless asked otherwise", async () => {
    await system.advance(3_600_000);
    const since = system.clock.now();
    const [a, b] = [system.random.id(), system.random.id()];
    await tell(system, ...lifeOf(a));
    await system.advance(1_000);
    const between = system.clock.now();
    await tell(system, ...lifeOf(b));
    const typesOf = async (filter: Filter) => (await all(filter)).map(({ type }) => type);
    const from = timestampFromDate(since);
    expect(await typesOf({ subject: a })).toEqual(["order.created", "stock.reserved", "order.paid"]);
    expect(await typesOf({ orderId: a })).toHaveLength(6);
    expect(await typesOf({ orderId: b, type: "ticket.queued" })).toEqual(["ticket.queued"]);
    expect(await typesOf({ type: "ticket.queued", from })).toEqual(["ticket.queued", "ticket.queued"]);
    expect(await typesOf({ from, to: timestampFromDate(between) })).toHaveLength(6);
    expect(await typesOf({ orderId: a, from: timestampFromDate(between) })).toEqual([]);
    const newest = await all({ from, oldestFirst: false });
    expect(newest.map(({ sequence }) => sequence)).toEqual(
      (await all({ from })).map(({ sequence }) => sequence).reverse(),
    );
  });

  test("takes no token of another filter", async () => {
    const { nextPageToken } = await admin().listEvents({ pageSize: 1 });
    expect(
      (await refusal(admin().listEvents({ pageSize: 1, type: "order.paid", pageToken: nextPageToken }))).message,
    ).toContain("page_token");
  });
});

describe("tailing", () => {
  async function tail(
    request: Parameters<ReturnType<typeof admin>["tailEvents"]>[0],
    count: number,
    meanwhile: () => Promise<unknown> = async () => {},
  ) {
    const stop = new AbortController();
    const seen: Event[] = [];
    const ended = (async () => {
      for await (const { event } of admin().tailEvents(request, { signal: stop.signal })) {
        if (event) seen.push(event);
        if (seen.length === count) stop.abort();
      }
    })().catch((error: unknown) => ConnectError.from(error).code);
    await meanwhile();
    expect(await ended).toBe(Code.Canceled);
    return seen;
  }

  test("tells what comes from now on", async () => {
    const orderId = system.random.id();
    // Until the tail has begun, whatever is told might have come before it.
    const telling = new AbortController();
    const seen = await tail({ orderId }, 3, async () => {
      while (!telling.signal.aborted) {
        await tell(system, ...lifeOf(orderId).slice(0, 1));
        if ((await all({ orderId })).length > 5) telling.abort();
      }
    });
    expect(seen.map(({ type }) => type)).toEqual(["order.created", "order.created", "order.created"]);
  });

  test("goes on behind what was seen last, and misses nothing", async () => {
    const events = await all({});
    const some = await tail({ afterSequence: 0n }, 4);
    const rest = await tail({ afterSequence: some.at(-1)?.sequence ?? 0n }, events.length - 4);
    expect([...some, ...rest].map(({ eventId }) => eventId)).toEqual(events.map(({ eventId }) => eventId));
  });

  test("goes on through more events than it reads at once that it does not want", async () => {
    const { head } = await admin().verifyChain({});
    const orderId = system.random.id();
    await tell(
      system,
      ...Array.from({ length: 450 }, () => factMessage(system, facts.OrderPaid, { orderId: system.random.id() })),
      ...lifeOf(orderId),
    );
    expect(await tail({ afterSequence: head?.sequence ?? 0n, orderId }, 6)).toHaveLength(6);
  });
});

describe("reading for services", () => {
  test("is by the time it happened, all of it, in pages", async () => {
    const asService = system.app("eventlog").call(EventLogService);
    const day = Date.parse("2026-03-01T00:00:00Z");
    const told = Array.from({ length: 2_500 }, (_, n) => ({
      ...factMessage(system, facts.OrderPaid, { orderId: system.random.id() }),
      // Many at one moment, and not in the order of their times.
      time: new Date(day + ((n * 7_919) % 1_000) * 1_000),
    }));
    await tell(system, ...told);
    const span = { from: timestampFromDate(new Date(day)), to: timestampFromDate(new Date(day + 999_000)) };
    const ids: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await asService.readEvents({ ...span, pageToken });
      expect(page.completeFrom).toBeUndefined();
      ids.push(...page.events.map(({ eventId }) => eventId));
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    const wanted = told.filter(({ time }) => time.getTime() < day + 999_000);
    expect(ids).toHaveLength(wanted.length);
    expect(new Set(ids)).toEqual(new Set(wanted.map(({ id }) => id)));
  });

  test("is not for people", async () => {
    const span = { from: timestampFromDate(new Date(0)), to: timestampFromDate(new Date(1)) };
    expect(await refusal(admin().readEvents(span))).toMatchObject({ code: Code.PermissionDenied });
  });
});

test("what is wrong with its variables is told by name", () => {
  expect(readConfig({}).keepMonths).toBeUndefined();
  expect(readConfig({ EVENTLOG_KEEP_MONTHS: "24" }).keepMonths).toBe(24);
  for (const months of ["0", "-1", "2.5", "9999", "two"])
    expect(() => readConfig({ EVENTLOG_KEEP_MONTHS: months })).toThrow(
      `EVENTLOG_KEEP_MONTHS must be a number of months from 1 to 1200, found ${months}`,
    );
  expect(() => readConfig({ EVENTLOG_SECRET: "short" })).toThrow("EVENTLOG_SECRET");
});
