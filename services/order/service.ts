import * as facts from "../../packages/api/facts.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { DecideHold, PaymentDeadline } from "../../packages/api/jobs.ts";
import { forever } from "../../packages/database/retention.ts";
import { answers, atHome, doesMany, on, onMany, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { cancelOrder } from "./cancel-order.ts";
import { onMenuChanged, onProductArchived, onProductChanged } from "./catalogue.ts";
import { checkDeadlines } from "./check-deadlines.ts";
import { type OrderConfig, readConfig } from "./config.ts";
import { getOrder } from "./get-order.ts";
import { getOrderHistory } from "./get-order-history.ts";
import { listOrders } from "./list-orders.ts";
import { onPaymentCaptured } from "./on-payment-captured.ts";
import { onPaymentRefunded } from "./on-payment-refunded.ts";
import { onStockCommitted, onStockRejected, onStockReleased, onStockReserved } from "./on-stock.ts";
import { onTicketCancelled } from "./on-ticket-cancelled.ts";
import { onTicketHandedOver } from "./on-ticket-handed-over.ts";
import { decideHolds, payWithPoints } from "./pay-with-points.ts";
import { placeOrder } from "./place-order.ts";
import { setLimits } from "./store.ts";
import { SWEEP } from "./sweep-orders.ts";
import { watchOrder } from "./watch-order.ts";

/** Orders, their life, and how much of it a customer may begin without paying. */
export const order = (env: Environment) =>
  service<OrderConfig>({
    name: "order",
    config: readConfig(env),
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("orders", "the business's record"),
      forever("order_lines", "the business's record"),
      forever("order_history", "the business's record"),
      forever("decisions", "a decision that is asked for again is the same"),
      forever("catalogue", "a row a product"),
      forever("menus", "a row a collection that is or was a menu"),
      forever("order_limits", "one row"),
    ],
    answers: [
      answers(OrderService, {
        placeOrder,
        getOrder,
        listOrders,
        cancelOrder,
        payWithPoints,
        watchOrder,
        getOrderHistory,
      }),
    ],
    hears: [
      atHome(on(facts.ProductCreated, onProductChanged)),
      atHome(on(facts.ProductUpdated, onProductChanged)),
      atHome(on(facts.ProductArchived, onProductArchived)),
      atHome(on(facts.ProductUnarchived, onProductChanged)),
      atHome(on(facts.MenuChanged, onMenuChanged)),
      onMany(facts.StockReserved, onStockReserved),
      onMany(facts.StockReleased, onStockReleased),
      onMany(facts.StockCommitted, onStockCommitted),
      on(facts.StockRejected, onStockRejected),
      on(facts.PaymentCaptured, onPaymentCaptured),
      on(facts.PaymentRefunded, onPaymentRefunded),
      on(facts.PaymentRefundReversed, onPaymentRefunded),
      on(facts.TicketHandedOver, onTicketHandedOver),
      on(facts.TicketCancelled, onTicketCancelled),
    ],
    does: [doesMany(PaymentDeadline, checkDeadlines), doesMany(DecideHold, decideHolds)],
    schedules: [SWEEP],
    starts: async ({ config, everywhere }) => {
      for (const { sql } of everywhere()) await setLimits(sql, config.limits);
    },
  });
