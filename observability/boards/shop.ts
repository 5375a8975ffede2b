// What becomes of orders, goods, money and mails.
import { type Board, type Panel, q, quantiles, rate } from "../panel.ts";

const moves = (aggregate: string): Panel["queries"] => [
  q(rate("bodega_moves_total", `aggregate="${aggregate}"`, "to"), "{{to}}"),
];

export const SHOP: Board[] = [
  {
    uid: "bodega-orders",
    title: "Orders",
    about: "From the placing to the end: is money coming in, and does every order come to an end?",
    panels: [
      {
        title: "Orders placed",
        unit: "ops",
        tells: "Per second, by outcome. Bad: a sudden drop while the edge is as busy as before.",
        queries: [
          q(rate("bodega_rpc_duration_seconds_count", 'service="order", method="PlaceOrder"', "code"), "{{code}}"),
        ],
        runbook: "PlacingAvailabilityBurns",
      },
      {
        title: "What becomes of them",
        unit: "ops",
        tells:
          "PAID and COMPLETED follow what is placed; CANCELLED that grows beside a steady PAID is stock that ran out, or a payment that fails.",
        queries: moves("order"),
      },
      {
        title: "How long placing takes",
        unit: "s",
        tells:
          "For half of all, and for all but one in a hundred. Bad: above a quarter of a second. A point leads to a trace.",
        queries: quantiles("bodega_rpc_duration_seconds", 'service="order", method="PlaceOrder"'),
        runbook: "PlacingLatencyBurns",
      },
      {
        title: "How late timers are",
        unit: "s",
        tells: "Reminders and expiries, from when they are due. Bad: above ten seconds, or growing.",
        queries: quantiles("bodega_message_delay_seconds", 'service="order", type="order.payment-deadline"'),
        runbook: "TimersOnTimeBurns",
        quiet: true,
      },
      {
        title: "Reminders and expiries",
        unit: "ops",
        tells: "Timers that were done. Zero for hours while orders are unpaid is bad.",
        queries: [
          q(rate("bodega_messages_total", 'service="order", type="order.payment-deadline"', "outcome"), "{{outcome}}"),
        ],
        quiet: true,
      },
    ],
    traces: '{ resource.service.name = "order" && name =~ ".*PlaceOrder" }',
  },
  {
    uid: "bodega-stock",
    title: "Stock",
    about: "Is what is sold taken from the shelf, in time and once?",
    panels: [
      {
        title: "From placed to reserved",
        unit: "s",
        tells: "Until the stock has heard of an order. Bad: above five seconds.",
        queries: quantiles("bodega_message_delay_seconds", 'service="stock", type="order.created"'),
        runbook: "StockFreshnessBurns",
      },
      {
        title: "What stock hears",
        unit: "ops",
        tells: "Orders, payments and cancellations. Without order.paid beside order.created nothing is committed.",
        queries: [q(rate("bodega_messages_total", 'service="stock"', "type, outcome"), "{{type}} {{outcome}}")],
      },
    ],
  },
  {
    uid: "bodega-payments",
    title: "Payments",
    about: "Does the money agree, to the cent?",
    panels: [
      {
        title: "Payments by what became of them",
        unit: "ops",
        tells:
          "CAPTURED is money; FAILED and REFUNDED that overtake it are trouble at the provider, or expiries that come too early.",
        queries: moves("payment"),
      },
      {
        title: "Differences from the provider's books",
        unit: "short",
        tells: "Found by the last comparison, and not to be mended without a person. Always zero.",
        queries: [q("max by (problem) (bodega_reconcile_differences)", "{{problem}}")],
        runbook: "ReconciliationDiffers",
        quiet: true,
      },
      {
        title: "Webhooks and refunds",
        unit: "ops",
        tells: "Messages that payment handles. `retried` beside them: the provider, or the order service, is away.",
        queries: [q(rate("bodega_messages_total", 'service="payment"', "type, outcome"), "{{type}} {{outcome}}")],
      },
    ],
    traces: '{ resource.service.name = "payment" && name =~ ".*refund.*" }',
  },
  {
    uid: "bodega-mail",
    title: "Mail",
    about: "Do people hear from us, once and in time?",
    panels: [
      {
        title: "From cause to handed over",
        unit: "s",
        tells: "Bad: above a minute. Then the mail server is away, or slow.",
        queries: quantiles("bodega_message_delay_seconds", 'service="mail", type="mail.deliver"'),
        runbook: "MailDeliveryBurns",
      },
      {
        title: "Deliveries",
        unit: "ops",
        tells:
          "`done` is a mail; `retried` is a mail server that did not take it; `parked` is a person without a mail.",
        queries: [q(rate("bodega_messages_total", 'service="mail", type="mail.deliver"', "outcome"), "{{outcome}}")],
        runbook: "MailDeliveryBurns",
      },
    ],
  },
];
