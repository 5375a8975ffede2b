import { Code, ConnectError } from "@connectrpc/connect";
import {
  OrderService,
  OrderStatusSchema,
  PayWithPointsResponseSchema,
} from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, StartPaymentResponseSchema } from "../../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { retryAfterMs } from "../../edge/retry.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { Problem } from "../problem.ts";
import { money, word } from "../words.ts";

/** Until its goods are reserved an order cannot be paid. */
const RESERVED_MS_MAX = 20_000;
const PAGE_MS = 15_000;
const OUTCOMES = ["succeeded", "declined", "abandoned"];

export const pay: Group = (group, at) => {
  group
    .command("pay")
    .description("Pay an order: in money at the provider's page, or in points")
    .argument("<order>", "its id")
    .option("--points", "in points, all of it, at once")
    .option("--outcome <outcome>", `play the provider that comes with bun dev: ${OUTCOMES.join(", ")}`)
    .option("--request-id <key>", "in points: under one key it happens once")
    .action(async (orderId, { points, outcome, requestId = crypto.randomUUID() }) => {
      const shop = at();
      if (points) {
        const reply = await onceReserved(() => shop.call(OrderService).payWithPoints({ requestId, orderId }));
        shop.show(PayWithPointsResponseSchema, reply, ({ order }) =>
          shop.say(`${word(OrderStatusSchema, order?.status ?? 0)}: ${order?.paidPoints} points.`),
        );
        return;
      }
      if (outcome !== undefined && !OUTCOMES.includes(outcome))
        throw new Problem(Exit.USAGE, `outcome: expected ${OUTCOMES.join(", ")}, found ${outcome}`);
      const reply = await onceReserved(() => shop.call(PaymentService).startPayment({ orderId }));
      if (outcome !== undefined) await playProvider(reply.payment?.checkoutUrl ?? "", outcome);
      shop.show(StartPaymentResponseSchema, reply, ({ payment }) =>
        shop.say(
          outcome === undefined
            ? `Pay ${money(payment?.amount)} here: ${payment?.checkoutUrl}`
            : `The provider was told: ${outcome}. Next: ${shop.command(`orders watch ${orderId}`)}`,
        ),
      );
    });
};

/** An order that was placed this moment is reserved a moment later; the shop says when to ask again. */
export async function onceReserved<T>(ask: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + RESERVED_MS_MAX; ; ) {
    try {
      return await ask();
    } catch (error) {
      const isEarly = error instanceof ConnectError && error.code === Code.FailedPrecondition;
      const pause = isEarly ? retryAfterMs(error) : undefined;
      if (pause === undefined || performance.now() + pause > end) throw error;
      await Bun.sleep(pause);
    }
  }
}

async function playProvider(checkoutUrl: string, outcome: string): Promise<void> {
  const signal = AbortSignal.timeout(PAGE_MS);
  const answer = await fetch(checkoutUrl, { method: "POST", body: new URLSearchParams({ outcome }), signal });
  if (answer.ok) return;
  throw new Problem(
    Exit.REFUSED,
    `the page at ${checkoutUrl} answered ${answer.status}`,
    "another provider than bun dev's is paid in a browser",
  );
}
