import { expect, test } from "bun:test";
import { CHECKS, LATE_MS_MAX } from "./checks.ts";
import type { OrderState, State } from "./state.ts";

const HOUR_MS = 3_600_000;
const PLACED = new Date("2026-01-05T08:00:00Z");
const later = (hours: number) => new Date(PLACED.getTime() + hours * HOUR_MS);

/** A small world in order: one order completed, one expired, one whose money came too late, one still open. */
function sound(): State {
  const order = (name: string, status: string, more: Partial<OrderState> = {}): OrderState => ({
    orderId: name,
    customerId: "ann",
    status,
    reservation: "RESERVED",
    total: 900n,
    createdAt: PLACED,
    expiresAt: later(24),
    paidAt: null,
    cancelledAt: null,
    cancelReason: null,
    lines: [{ productId: "soup", quantity: 2 }],
    ...more,
  });
  const expired = { cancelledAt: later(24), cancelReason: "EXPIRED", reservation: "RELEASED" };
  const names = ["sold", "expired", "refunded"];
  const keys = names.map((orderId) => ({ customerId: "ann", requestId: `key-${orderId}`, orderId }));
  const mail = (orderId: string, template: string, status = "SENT") => ({
    recipient: "ann@bodega.test",
    subject: `${template}: ${orderId}`,
    template,
    orderId,
    status,
  });
  const mails = [
    ...names.map((name) => mail(name, "order_received")),
    mail("sold", "payment_received"),
    mail("sold", "order_completed"),
    mail("expired", "payment_reminder"),
    mail("expired", "payment_reminder"),
    mail("expired", "payment_reminder", "DROPPED"),
    mail("expired", "order_cancelled"),
    mail("refunded", "order_cancelled"),
  ];
  return {
    now: later(36),
    scale: 3_600,
    outages: [{ from: later(23), to: later(24.5) }],
    acknowledged: [...keys, ...keys.slice(0, 1)],
    orders: [
      order("sold", "COMPLETED", { paidAt: later(1), reservation: "COMMITTED" }),
      order("expired", "CANCELLED", expired),
      order("refunded", "CANCELLED", expired),
    ],
    listed: names,
    answers: keys,
    armed: [],
    stock: [{ productId: "soup", onHand: 98, reserved: 0, put: 100 }],
    differences: 0,
    mails,
    caught: mails
      .filter(({ status }) => status === "SENT")
      .map(({ recipient, subject }, index) => ({ messageId: `<${index}@bodega>`, recipient, subject, handOvers: 1 })),
    checkouts: [
      { paymentId: "1", orderId: "sold", captured: 900n, refunded: 0n },
      { paymentId: "2", orderId: "refunded", captured: 900n, refunded: 900n },
    ],
    parked: [],
    unexpected: [],
  };
}

function findings(spoil: (state: State) => void): Record<string, number> {
  const state = sound();
  spoil(state);
  const counts = Object.entries(CHECKS).map(([name, check]) => [name, check(state).length] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** An element that is there: a fixture without it would prove nothing. */
function nth<T>(list: T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`the fixture has ${list.length} elements, none at ${index}`);
  return found;
}

/** The order that expired, open again, with its timer. */
function reopen(state: State): OrderState {
  const order = nth(state.orders, 1);
  Object.assign(order, { status: "PENDING", reservation: "RESERVED", cancelledAt: null, cancelReason: null });
  nth(state.stock, 0).reserved = 2;
  state.armed = [order.orderId];
  return order;
}

test("a sound world passes every check", () => {
  expect(findings(() => {})).toEqual({});
});

test("a mail that was handed over twice under one Message-ID is no second mail", () => {
  expect(findings((state) => Object.assign(nth(state.caught, 0), { handOvers: 2 }))).toEqual({});
});

/** At this scale an hour is a second; half an hour of the lateness was an outage. */
const LATE_HOURS = (LATE_MS_MAX + 501) / 1_000;

test.each<[string, (state: State) => void, Record<string, number>]>([
  [
    "an acknowledged order that is gone",
    (state) => {
      state.acknowledged.push({ customerId: "ann", requestId: "key-lost", orderId: "lost" });
    },
    { "acknowledged orders lost": 1 },
  ],
  [
    "an order its customer does not see",
    (state) => {
      state.listed = state.listed.slice(1);
    },
    { "acknowledged orders lost": 1 },
  ],
  [
    "two acknowledgements of one key that name two orders",
    (state) => {
      state.acknowledged.push({ ...nth(state.acknowledged, 0), orderId: "expired" });
    },
    { "keys doubled": 1 },
  ],
  [
    "a second order of one key",
    (state) => {
      state.answers = state.answers.slice(0, 2);
    },
    { "keys doubled": 1 },
  ],
  [
    "a unit that is missing",
    (state) => {
      nth(state.stock, 0).onHand -= 1;
    },
    { "stock that does not add up": 1 },
  ],
  [
    "a unit that stays reserved for nobody",
    (state) => {
      nth(state.stock, 0).reserved += 1;
    },
    { "stock that does not add up": 1 },
  ],
  [
    "a ledger that differs from its columns",
    (state) => {
      state.differences = 1;
    },
    { "stock that does not add up": 1 },
  ],
  [
    "a mail that came twice under two Message-IDs",
    (state) => {
      state.caught.push({ ...nth(state.caught, 0), messageId: "<other@bodega>" });
    },
    { "mails doubled": 1 },
  ],
  [
    "a mail that was written twice and came twice",
    (state) => {
      state.mails.push({ ...nth(state.mails, 0) });
      state.caught.push({ ...nth(state.caught, 0), messageId: "<other@bodega>" });
    },
    { "mails doubled": 1 },
  ],
  [
    "a fourth reminder",
    (state) => {
      const reminder = state.caught.filter(({ subject }) => subject.startsWith("payment_reminder"));
      for (const messageId of ["<b@bodega>", "<c@bodega>"]) state.caught.push({ ...nth(reminder, 0), messageId });
    },
    { "mails doubled": 1 },
  ],
  [
    "a mail that waits for ever",
    (state) => {
      nth(state.mails, 5).status = "QUEUED";
    },
    { "mails forgotten": 1 },
  ],
  [
    "a mail that is called sent and never came",
    (state) => {
      state.caught.pop();
    },
    { "mails forgotten": 1 },
  ],
  [
    "a mail nobody wrote",
    (state) => {
      state.mails.pop();
      state.caught.pop();
    },
    { "mails forgotten": 1 },
  ],
  [
    "an open order without a timer",
    (state) => {
      Object.assign(reopen(state), { expiresAt: later(30) });
      state.armed = [];
    },
    { "timers forgotten": 1, "orders without an end": 1 },
  ],
  [
    "an open order whose end is long over",
    (state) => {
      Object.assign(reopen(state), { expiresAt: later(25 - LATE_HOURS) });
    },
    { "timers forgotten": 1, "orders without an end": 1 },
  ],
  [
    "an order that expired too late",
    (state) => {
      nth(state.orders, 1).cancelledAt = later(24 + LATE_HOURS);
    },
    { "timers forgotten": 1 },
  ],
  [
    "an order that expired too early",
    (state) => {
      nth(state.orders, 1).cancelledAt = later(23.9);
    },
    { "timers forgotten": 1 },
  ],
  [
    "a paid order that nobody cooks",
    (state) => {
      Object.assign(nth(state.orders, 0), { status: "PAID" });
    },
    { "orders without an end": 1 },
  ],
  [
    "a cent that is off",
    (state) => {
      nth(state.checkouts, 0).captured -= 1n;
    },
    { "money that does not add up": 2 },
  ],
  [
    "a cent too few given back, and one too many kept elsewhere",
    (state) => {
      nth(state.checkouts, 1).refunded -= 1n;
      nth(state.checkouts, 0).captured -= 1n;
    },
    { "money that does not add up": 2 },
  ],
  [
    "a parked message",
    (state) => {
      state.parked = ["mail parked order.created"];
    },
    { "messages parked": 1 },
  ],
  [
    "an answer that tells of a bug",
    (state) => {
      state.unexpected = ["/v1/orders answered 500"];
    },
    { "answers nobody should see": 1 },
  ],
])("caught: %s", (_, spoil, expected) => {
  expect(findings(spoil)).toEqual(expected);
});
