import { expect, test } from "bun:test";
import type { Attempt } from "../chaos/client.ts";
import type { OrderState, State } from "../chaos/state.ts";
import { type Event, eventsOf } from "./events.ts";
import { type Passed, rowOf, tableOf } from "./table.ts";
import { tooMuch, totalOf } from "./usage.ts";

const FROM = 1_000;
const TO = 2_000;
const PLACED = new Date("2026-01-05T08:00:00Z");
const EXPIRED = new Date("2026-01-06T08:00:00Z");

function attempt(endedAt: number, more: Partial<Attempt> = {}): Attempt {
  return { what: "POST /v1/orders", endedAt, waitedMs: 40, failed: false, turnedAway: null, ...more };
}

function event(spares: Event["spares"]): Event {
  return { name: "kill", what: "a task killed", spares, strike: async () => {} };
}

/** One order was acknowledged before the event, and one during it; both expired, and their mails went out. */
function sound(): State {
  const order = (orderId: string): OrderState => ({
    orderId,
    customerId: "ann",
    status: "CANCELLED",
    reservation: "RELEASED",
    total: 900n,
    createdAt: PLACED,
    expiresAt: EXPIRED,
    paidAt: null,
    cancelledAt: EXPIRED,
    cancelReason: "EXPIRED",
    lines: [{ productId: "soup", quantity: 2 }],
  });
  const ids = ["before", "during"];
  const keys = ids.map((orderId) => ({ customerId: "ann", requestId: `key-${orderId}`, orderId }));
  const mails = ids.flatMap((orderId) =>
    ["order_received", "order_cancelled"].map((template) => ({
      recipient: "ann@bodega.test",
      subject: `${template}: ${orderId}`,
      template,
      orderId,
      status: "SENT",
    })),
  );
  return {
    now: new Date("2026-01-07T08:00:00Z"),
    scale: 3_600,
    outages: [],
    acknowledged: keys,
    orders: ids.map(order),
    listed: ids,
    answers: keys,
    armed: [],
    stock: [],
    differences: 0,
    mails,
    caught: mails.map(({ recipient, subject }) => ({ messageId: subject, recipient, subject, handOvers: 1 })),
    checkouts: [],
    parked: [],
    unexpected: [],
  };
}

function passed(spares: Event["spares"], more: Partial<Passed> = {}): Passed {
  const acknowledged = [{ customerId: "ann", requestId: "key-during", orderId: "during" }];
  return { event: event(spares), from: FROM, to: TO, acknowledged, ...more };
}

test("an event is judged by what ended during it", () => {
  const attempts = [
    attempt(FROM - 1, { failed: true, waitedMs: 9_000 }),
    attempt(FROM),
    attempt(TO - 1, { waitedMs: 700 }),
    attempt(TO, { failed: true, waitedMs: 9_000 }),
  ];
  const row = rowOf(passed("all"), attempts, sound());
  expect(row).toMatchObject({
    requests: 2,
    failed: 0,
    longestMs: 700,
    lost: 0,
    doubled: 0,
    forgotten: 0,
    findings: [],
  });
});

test("a request that fails is against the bar of an event that spares it, and of no other", () => {
  const order = attempt(FROM, { failed: true });
  const other = attempt(FROM, { failed: true, what: "POST /v1/payments" });
  const isBad = (spares: Event["spares"], attempts: Attempt[]) =>
    rowOf(passed(spares), attempts, sound()).findings.length > 0;
  expect([isBad("all", [order]), isBad("all", [other])]).toEqual([true, true]);
  expect([isBad("orders", [order]), isBad("orders", [other])]).toEqual([true, false]);
  expect([isBad("none", [order]), isBad("none", [other])]).toEqual([false, false]);
});

test("who waited for longer than an event may stall is against its bar, and of no other's", () => {
  const attempts = [attempt(FROM, { waitedMs: 15_001 })];
  const judged = (more: Partial<Event>) =>
    rowOf(passed("none", { event: { ...event("none"), ...more } }), attempts, sound()).findings;
  expect(judged({ stallMsMax: 15_000 })).toEqual(["somebody waited for 15001 ms, expected 15000 at most"]);
  expect([judged({ stallMsMax: 16_000 }), judged({})]).toEqual([[], []]);
});

test.each<[string, "lost" | "doubled" | "forgotten", (state: State) => void]>([
  ["is in no database", "lost", (state) => state.orders.pop()],
  ["has a second one beside it under its key", "doubled", (state) => state.acknowledged.push(twin(state))],
  ["never ended", "forgotten", (state) => Object.assign(state.orders[1] ?? {}, { status: "PAID" })],
  ["was never written about", "forgotten", (state) => state.mails.pop()],
  ["has a mail that was not handed over", "forgotten", (state) => state.caught.pop()],
])("an order of the event that %s is %s", (_, column, spoil) => {
  const state = sound();
  spoil(state);
  const acknowledged = state.acknowledged.filter(({ requestId }) => requestId === "key-during");
  const row = rowOf(passed("none", { acknowledged }), [attempt(FROM)], state);
  expect(row[column]).toBeGreaterThan(0);
  expect(row.findings).not.toEqual([]);
});

function twin({ orders, listed }: State) {
  orders.push({ ...(orders[1] as OrderState), orderId: "twin" }); // There are two.
  listed.push("twin");
  return { customerId: "ann", requestId: "key-during", orderId: "twin" };
}

test("an event during which nobody ordered has shown nothing, and one that went wrong says so", () => {
  expect(rowOf(passed("none", { acknowledged: [] }), [], sound()).findings).toHaveLength(1);
  expect(rowOf(passed("none", { wrong: "not rolled back" }), [], sound()).findings).toEqual(["not rolled back"]);
});

test("columns are as wide as what is in them", () => {
  const rows = [rowOf(passed("none"), [attempt(FROM)], sound())];
  const lines = tableOf(rows);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
});

test("a stack that takes more than its machine has is found, and its tasks are counted together", () => {
  const uses = [
    { of: "order", tasks: 2, memoryMiB: 300, cores: 0.5 },
    { of: "the Engine", tasks: 3, memoryMiB: 200.4, cores: 0.25 },
  ];
  expect(totalOf(uses)).toEqual({ of: "together", tasks: 5, memoryMiB: 500.4, cores: 0.75 });
  const found = (max: number | undefined) => tooMuch(uses, max).flatMap((finding) => finding.found);
  expect(found(499)).toEqual(["it took 500 MiB of memory, expected 499 at most"]);
  expect([found(500), tooMuch(uses, undefined)]).toEqual([[], []]);
});

test("no two events have one name", () => {
  for (const size of ["small", "full", "clusters"]) {
    const names = eventsOf(size).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  }
});
