import { OrderCancelled, OrderCreated, OrderPaid, ProductCreated } from "../../packages/api/facts.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { forDays, forever } from "../../packages/database/retention.ts";
import { answers, onMany, service } from "../../packages/service/service.ts";
import { adjustStock } from "./adjust-stock.ts";
import { checkAvailability } from "./check-availability.ts";
import { getStock } from "./get-stock.ts";
import { listReservations } from "./list-reservations.ts";
import { onOrderCancelled } from "./on-order-cancelled.ts";
import { onOrderCreated } from "./on-order-created.ts";
import { onOrderPaid } from "./on-order-paid.ts";
import { onProductCreated } from "./on-product-created.ts";
import { reconcile, SEAL } from "./reconcile.ts";

export const stock = () =>
  service<undefined>({
    name: "stock",
    config: undefined,
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      forever("stock_items", "a row a product"),
      forever("stock_ledger", "the business's record"),
      forever("stock_seals", "a row a product"),
      forDays(
        730,
        "reservations",
        { id: "order_id" },
        "what is heard of an order that ended before that moves nothing on the shelf",
        "status <> 'RESERVED'",
      ),
    ],
    answers: [answers(StockService, { getStock, checkAvailability, adjustStock, listReservations, reconcile })],
    hears: [
      onMany(ProductCreated, onProductCreated),
      onMany(OrderCreated, onOrderCreated),
      onMany(OrderPaid, onOrderPaid),
      onMany(OrderCancelled, onOrderCancelled),
    ],
    does: [],
    schedules: [SEAL],
  });
