import * as facts from "../../packages/api/facts.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { DecideHold, PaymentDeadline } from "../../packages/api/jobs.ts";
import { answers, doesMany, on, onMany, service } from "../../packages/service/service.ts";
import { cancelOrder } from "./cancel-order.ts";
import { onProductArchived, onProductChanged } from "./catalogue.ts";
import { checkDeadlines } from "./check-deadlines.ts";
import { getOrder } from "./get-order.ts";
import { getOrderHistory } from "./get-order-history.ts";
import { listOrders } from "./list-orders.ts";
import { onPaymentCaptured } from "./on-payment-captured.ts";
import { onStockCommitted, onStockRejected, onStockReleased, onStockReserved } from "./on-stock.ts";
import { onTicketHandedOver } from "./on-ticket-handed-over.ts";
import { decideHolds, payWithPoints } from "./pay-with-points.ts";
import { placeOrder } from "./place-order.ts";
import { watchOrder } from "./watch-order.ts";

export const order = () =>
  service({
    name: "order",
    config: {},
    migrations: new URL("./migrations/", import.meta.url),
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
      on(facts.ProductCreated, onProductChanged),
      on(facts.ProductUpdated, onProductChanged),
      on(facts.ProductArchived, onProductArchived),
      onMany(facts.StockReserved, onStockReserved),
      onMany(facts.StockReleased, onStockReleased),
      onMany(facts.StockCommitted, onStockCommitted),
      on(facts.StockRejected, onStockRejected),
      on(facts.PaymentCaptured, onPaymentCaptured),
      on(facts.TicketHandedOver, onTicketHandedOver),
    ],
    does: [doesMany(PaymentDeadline, checkDeadlines), doesMany(DecideHold, decideHolds)],
  });
