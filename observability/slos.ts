// What is promised to customers, in one file. Rules and alerts are made of it: observability/rules.ts.

/** A share of events that must be good, over 30 days. Good and all are counters, as increase-able series without a range. */
export interface Slo {
  name: string;
  /** What a customer has of it. */
  promise: string;
  objective: number;
  /** Series of good events and of all events; `[$window]` stands for the range. */
  good: string;
  all: string;
}

const PLACED = 'service="order", method="PlaceOrder"';
/** A refusal is an answer; only these are our fault. */
const FAULTS = "Internal|Unknown|Unavailable|DeadlineExceeded|DataLoss|Unimplemented";
const TIMER = 'service="order", type="order.payment-deadline"';

export const SLOS: Slo[] = [
  {
    name: "placing-availability",
    promise: "whoever places an order is answered: with an order, or with a reason that is theirs",
    objective: 0.999,
    good: `sum(increase(bodega_rpc_duration_seconds_count{${PLACED}, code!~"${FAULTS}"}[$window]))`,
    all: `sum(increase(bodega_rpc_duration_seconds_count{${PLACED}}[$window]))`,
  },
  {
    name: "placing-latency",
    promise: "an order is placed within a quarter of a second",
    objective: 0.99,
    good: `sum(increase(bodega_rpc_duration_seconds_bucket{${PLACED}, le="0.25"}[$window]))`,
    all: `sum(increase(bodega_rpc_duration_seconds_count{${PLACED}}[$window]))`,
  },
  {
    name: "timers-on-time",
    promise: "a reminder or an expiry happens within ten seconds of its time",
    objective: 0.999,
    good: `sum(increase(bodega_message_delay_seconds_bucket{${TIMER}, le=~"10|10.0"}[$window]))`,
    all: `sum(increase(bodega_message_delay_seconds_count{${TIMER}}[$window]))`,
  },
  {
    name: "stock-freshness",
    promise: "what an order takes from the stock is reserved within five seconds",
    objective: 0.99,
    good: 'sum(increase(bodega_message_delay_seconds_bucket{service="stock", type="order.created", le=~"5|5.0"}[$window]))',
    all: 'sum(increase(bodega_message_delay_seconds_count{service="stock", type="order.created"}[$window]))',
  },
  {
    name: "statistics-freshness",
    promise: "the statistics of the day are no more than a minute behind",
    objective: 0.99,
    good: 'sum(increase(bodega_message_delay_seconds_bucket{service="activity", le=~"60|60.0"}[$window]))',
    all: 'sum(increase(bodega_message_delay_seconds_count{service="activity"}[$window]))',
  },
  {
    name: "mail-delivery",
    promise: "a mail is handed over within a minute of its cause",
    objective: 0.99,
    good: 'sum(increase(bodega_message_delay_seconds_bucket{service="mail", type="mail.deliver", le=~"60|60.0"}[$window]))',
    all: 'sum(increase(bodega_message_delay_seconds_count{service="mail", type="mail.deliver"}[$window]))',
  },
  {
    name: "canary",
    promise: "what the edge has acknowledged arrives: the platform's own probe says so",
    objective: 0.999,
    good: 'sum(increase(bodega_canary_probes_total{outcome="delivered"}[$window]))',
    all: "sum(increase(bodega_canary_probes_total[$window]))",
  },
];

/**
 * Multi-window, multi-burn-rate alerts as in Google's SRE workbook, chapter 5: a page when 2 % of the month's budget burns in an hour or 5 % in six, a
 * ticket when 10 % burns in three days. The short window ends the alert soon after the burning has ended.
 *
 * What burned fast was told then, as itself or as its cause, and the windows of the slow page remember it: that page is silent for `silentAfter` after
 * the fast one, which is longer than its short window.
 */
export const BURNS = [
  { severity: "page", long: "1h", short: "5m", factor: 14.4, for: "2m" },
  { severity: "page", long: "6h", short: "30m", factor: 6, for: "15m", silentAfter: "35m" },
  { severity: "ticket", long: "3d", short: "6h", factor: 1, for: "1h" },
];
