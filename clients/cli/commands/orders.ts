import {
  CancelOrderResponseSchema,
  CancelReasonSchema,
  GetOrderResponseSchema,
  ListOrdersResponseSchema,
  type Order,
  OrderService,
  OrderStatusSchema,
  PlaceOrderResponseSchema,
  ReservationSchema,
  WatchOrderResponseSchema,
} from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, RefundPaymentResponseSchema } from "../../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { Group } from "../command-line.ts";
import { productOf } from "../names.ts";
import type { Shop } from "../shop.ts";
import { amountOf, choice, wholeNumber } from "../values.ts";
import { money, time, word } from "../words.ts";
import { pay } from "./pay.ts";
import { timeline } from "./timeline.ts";

const SHOWN = 50;
const QUANTITY = { min: 1n, max: 1_000n };

export const orders: Group = (program, at) => {
  const group = program.command("orders").description("Orders, from placing to hand-over");
  for (const part of [place, list, show, timeline, watch, pay, cancel, refund]) part(group, at);
};

const place: Group = (group, at) => {
  group
    .command("place")
    .description("Place an order")
    .argument("<lines...>", "products by id, SKU or name, with how many: burger=2")
    .option("--request-id <key>", "under one key it is one order, however often it is asked for")
    .action(async (texts, { requestId = crypto.randomUUID() }) => {
      const shop = at();
      const lines = await Promise.all(texts.map((text) => lineOf(shop, text)));
      const reply = await shop.call(OrderService).placeOrder({ requestId, lines });
      shop.show(PlaceOrderResponseSchema, reply, ({ order, replayed }) => {
        if (order) orderTable(shop, [order]);
        shop.say(
          replayed
            ? "It had been placed before, under the same key."
            : `Next: ${shop.command(`orders pay ${order?.orderId}`)}`,
        );
      });
    });
};

async function lineOf(shop: Shop, text: string) {
  const [, name = text, count = "1"] = /^(.*)=(.*)$/.exec(text) ?? [];
  const quantity = Number(wholeNumber(`quantity of ${name}`, count, QUANTITY));
  return { productId: (await productOf(shop, name)).productId, quantity };
}

const list: Group = (group, at) => {
  group
    .command("list")
    .description("The newest orders: one's own, an admin's everybody's")
    .option("--status <status>", "pending, paid, completed or cancelled")
    .action(async (options) => {
      const shop = at();
      const status = choice("status", OrderStatusSchema, options.status);
      const reply = await shop.call(OrderService).listOrders({ pageSize: SHOWN, status });
      shop.show(ListOrdersResponseSchema, reply, (found) => orderTable(shop, found.orders));
    });
};

const show: Group = (group, at) => {
  group
    .command("show")
    .description("One order with its lines")
    .argument("<order>", "its id")
    .action(async (orderId) => {
      const shop = at();
      shop.show(GetOrderResponseSchema, await shop.call(OrderService).getOrder({ orderId }), ({ order }) => {
        if (!order) return;
        orderTable(shop, [order]);
        shop.terminal.line("");
        shop.terminal.table(
          ["PRODUCT", "QUANTITY", "UNIT PRICE"],
          order.lines.map(({ name, quantity, unitPrice }) => [name, quantity, money(unitPrice)]),
        );
      });
    });
};

const watch: Group = (group, at) => {
  group
    .command("watch")
    .description("Each change of an order, until it is completed or cancelled")
    .argument("<order>", "its id")
    .action(async (orderId) => {
      const shop = at();
      // A heartbeat tells nobody anything.
      for await (const message of shop.call(OrderService).watchOrder({ orderId }))
        if (message.order) shop.show(WatchOrderResponseSchema, message, ({ order }) => shop.say(standing(order)));
    });
};

const cancel: Group = (group, at) => {
  group
    .command("cancel")
    .description("Cancel an order; what an admin cancels after it was paid is refunded")
    .argument("<order>", "its id")
    .option("--without-restock", "what was sold does not come back for sale")
    .action(async (orderId, { withoutRestock = false }) => {
      const shop = at();
      const reply = await shop.call(OrderService).cancelOrder({ orderId, withoutRestock });
      shop.show(CancelOrderResponseSchema, reply, ({ order }) => shop.say(standing(order)));
    });
};

const refund: Group = (group, at) => {
  group
    .command("refund")
    .description("Give back what was paid for an order, or a part of it")
    .argument("<order>", "its id")
    .requiredOption("--reason <text>", "the customer reads it")
    .option("--amount <amount>", "such as 4.50; else all that is left")
    .option("--request-id <key>", "under one key it happens once")
    .action(async (orderId, { reason, amount, requestId = crypto.randomUUID() }) => {
      const shop = at();
      const part = amount === undefined ? {} : { amount: amountOf("amount", amount) };
      const { payment } = await shop.call(PaymentService).getPayment({ orderId });
      const paymentId = payment?.paymentId ?? "";
      const reply = await shop.call(PaymentService).refundPayment({ requestId, paymentId, reason, ...part });
      // The provider is told afterwards, so the answer does not have it yet.
      shop.show(RefundPaymentResponseSchema, reply, (refunded) =>
        shop.say(
          `${part.amount ? amount : "All that is left"} of ${money(refunded.payment?.amount)} goes back. Next: ${shop.command(`orders timeline ${orderId}`)}`,
        ),
      );
    });
};

export function standing(order: Order | undefined): string {
  if (!order) return "";
  const reason = word(CancelReasonSchema, order.cancelReason);
  const words = [word(OrderStatusSchema, order.status), word(ReservationSchema, order.reservation), reason];
  return [order.orderId, ...words].filter(Boolean).join("  ");
}

export function orderTable({ terminal }: Pick<Shop, "terminal">, found: Order[]): void {
  terminal.table(
    ["ORDER", "STATUS", "GOODS", "TOTAL", "PLACED", "WHY CANCELLED"],
    found.map((order) => [
      order.orderId,
      word(OrderStatusSchema, order.status),
      word(ReservationSchema, order.reservation),
      money(order.total),
      time(order.createdAt),
      word(CancelReasonSchema, order.cancelReason),
    ]),
  );
}
