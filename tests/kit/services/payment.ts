// The payment service alone; the orders it asks for are the test's.
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentRefundReversed } from "../../../packages/api/facts.ts";
import {
  type OrderSchema,
  OrderService,
  OrderStatus,
  Reservation,
} from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import type { App } from "../../../packages/service/app.ts";
import type { Caller } from "../../../packages/service/caller.ts";
import type { PaymentConfig } from "../../../services/payment/config.ts";
import { signedHeaders } from "../../../services/payment/provider/embedded.ts";
import { paymentRoutes } from "../../../services/payment/routes.ts";
import { collectFacts, type Told } from "../messages.ts";
import { type System, startSystem, type User } from "../system.ts";

export type Order = MessageInitShape<typeof OrderSchema> & { orderId: string; customerId: string };

export interface OrderFields {
  customerId?: string;
  status?: OrderStatus;
  reservation?: Reservation;
}

export interface PaymentSystem extends System {
  payment: App<PaymentConfig>;
  customer: User;
  /** The customer's client. */
  payments: Client<typeof PaymentService>;
  told: Told[];
  givenOrder(fields?: OrderFields): Order;
  http(path: string, init?: RequestInit): Promise<Response>;
  /** A payment of a new order, opened. */
  started(): Promise<{ paymentId: string; orderId: string }>;
  /** The customer decides on the pay page, and all that follows. */
  decide(paymentId: string, outcome: "succeeded" | "declined" | "abandoned"): Promise<void>;
  /** A webhook as the provider would send it now. */
  post(event: object): Promise<Response>;
  rowOf(
    paymentId: string,
  ): Promise<{ status: string; refunded_minor_units: bigint; refund_requested_minor_units: bigint }>;
  /** What the provider's own ledger says it has given back. */
  givenBack(paymentId: string): Promise<bigint[]>;
}

export const TOTAL = { currencyCode: "EUR", minorUnits: 1_999n };

export async function startPaymentSystem(env: Record<string, string> = {}): Promise<PaymentSystem> {
  const system = await startSystem({ services: ["payment"], env });
  // Its configuration is what its own readConfig made.
  const payment = system.app("payment") as App<PaymentConfig>;
  const customer = system.newCustomer();
  const orders = new Map<string, Order>();
  payment.call = (service, caller) => orderDesk(orders, service, caller);
  const payments = system.as(customer, PaymentService);
  const http = async (path: string, init?: RequestInit) => paymentRoutes(payment).request(path, init);

  function givenOrder(fields: OrderFields = {}): Order {
    const customerId = fields.customerId ?? customer.userId;
    const orderId = system.random.idFor(customerId);
    const order = {
      orderId,
      customerId,
      status: OrderStatus.PENDING,
      reservation: Reservation.RESERVED,
      total: TOTAL,
      ...fields,
    };
    orders.set(orderId, order);
    return order;
  }

  return {
    ...system,
    payment,
    customer,
    payments,
    told: await collectFacts(system, [PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentRefundReversed]),
    givenOrder,
    http,
    async started() {
      const { orderId } = givenOrder();
      const { payment: opened } = await payments.startPayment({ orderId });
      return { paymentId: opened?.paymentId ?? "", orderId };
    },
    async decide(paymentId, outcome) {
      const answer = await http(`/pay/${paymentId}`, { method: "POST", body: new URLSearchParams({ outcome }) });
      if (answer.status !== 200) throw new Error(`the pay page answered ${answer.status}: ${await answer.text()}`);
      await system.settle();
    },
    async post(event) {
      const body = JSON.stringify(event);
      return http("/webhooks/embedded", { method: "POST", body, headers: await signedHeaders(payment, body) });
    },
    async rowOf(paymentId) {
      const [row] = await payment.sql`select * from payments where payment_id = ${paymentId}`;
      if (!row) throw new Error(`there is no payment ${paymentId}`);
      return {
        status: row["status"],
        refunded_minor_units: row["refunded_minor_units"],
        refund_requested_minor_units: row["refund_requested_minor_units"],
      };
    },
    async givenBack(paymentId) {
      const rows = await payment.sql<{ amount_minor_units: bigint }[]>`
        select r.amount_minor_units from provider_refunds r join provider_checkouts c using (provider_reference) where payment_id = ${paymentId} order by r.created_at`;
      return rows.map((row) => row.amount_minor_units);
    },
  };
}

function orderDesk<S extends DescService>(orders: Map<string, Order>, service: S, caller?: Caller): Client<S> {
  const transport = createRouterTransport((router) =>
    router.service(OrderService, {
      getOrder({ orderId }) {
        const order = orders.get(orderId);
        if (!order || (order.customerId !== caller?.userId && !caller?.admin))
          throw new ConnectError(`there is no order ${orderId}`, Code.NotFound);
        return { order };
      },
    }),
  );
  return createClient(service, transport);
}

/** An event as the embedded provider words it. */
export function providerEvent(
  type: string,
  paymentId: string,
  fields: Record<string, unknown> = {},
  id = `event_${paymentId}_${type}`,
): object {
  const data = {
    payment_id: paymentId,
    provider_reference: `checkout_${paymentId}`,
    currency_code: "EUR",
    minor_units: "1999",
    reason: "",
    ...fields,
  };
  return { id, type: `checkout.${type}`, data };
}
