// What people do in a shop that is being looked at.
import { ConnectError, createClient } from "@connectrpc/connect";
import { type Customer, makeCustomers, makeProducts, renewToken, transport } from "../../bench/people.ts";
import type { Stack } from "../../bench/stack.ts";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OrderService, OrderStatus, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { sleep } from "../../packages/time/wait.ts";
import { unless, until } from "./check.ts";

const PAUSE_MS = 500;
const TRADERS = 4;
const TRADER_PAUSE_MS = 1_000;
/** Tokens live for ten minutes. */
const RENEWED_EVERY_MS = 120_000;

export type Shop = Awaited<ReturnType<typeof openShop>>;

/** Where it is, who is its admin, and the databases of its services. */
export type Place = Pick<Stack, "edge" | "mailCatcher" | "adminEmail" | "adminPassword" | "database">;

export interface Goods {
  customer: Customer;
  productId: string;
}

/** A customer and what there is to buy. */
export async function stockUp(place: Place): Promise<Goods> {
  const [customer] = await makeCustomers(place, 1);
  const [productId] = await makeProducts(place, 1);
  if (!customer || !productId) throw new Error("expected a customer and a product, found none");
  return { customer, productId };
}

export async function openShop(stack: Place, { customer, productId }: Goods) {
  const { accessToken } = await createClient(AuthService, transport(stack)).login({
    email: stack.adminEmail,
    password: stack.adminPassword,
  });
  const asCustomer = transport(stack, () => customer.token);
  const orders = createClient(OrderService, asCustomer);
  const payments = createClient(PaymentService, asCustomer);
  const refunds = createClient(PaymentService, transport(stack, accessToken));
  const now = async (orderId: string) => (await orders.getOrder({ orderId })).order;

  async function order(quantity: number, requestId: string = crypto.randomUUID()): Promise<string> {
    const placed = await orders.placeOrder({ requestId, lines: [{ productId, quantity }] });
    return placed.order?.orderId ?? "";
  }
  async function isReserved(orderId: string): Promise<string | undefined> {
    const reservation = (await now(orderId))?.reservation;
    return unless(reservation === Reservation.RESERVED, () => `its reservation is ${reservation}`);
  }
  async function reserved(): Promise<string> {
    const orderId = await order(1);
    await until("it is reserved", () => isReserved(orderId));
    return orderId;
  }
  async function pay(orderId: string): Promise<void> {
    const { payment } = await payments.startPayment({ orderId });
    const form = new URLSearchParams({ outcome: "succeeded" });
    const res = await fetch(payment?.checkoutUrl ?? "", { method: "POST", body: form });
    if (!res.ok) throw new Error(`the pay page answered ${res.status}`);
  }
  return {
    order,
    isReserved,
    reserved,
    pay,
    renewToken: () => renewToken(stack, customer),
    async is(orderId: string, status: OrderStatus) {
      const order = await now(orderId);
      return unless(order?.status === status, () => `its status is ${order?.status}`);
    },
    async paid(): Promise<string> {
      const orderId = await reserved();
      await pay(orderId);
      await until("it is paid", async () => {
        const order = await now(orderId);
        return unless(order?.status !== OrderStatus.PENDING, () => "it is still pending");
      });
      return orderId;
    },
    async refund(orderId: string) {
      const { payment } = await payments.getPayment({ orderId });
      const { paymentId = "" } = payment ?? {};
      await refunds.refundPayment({ requestId: crypto.randomUUID(), paymentId, reason: "seen through" });
      await until("it is refunded", async () => {
        const status = (await payments.getPayment({ paymentId })).payment?.status;
        return unless(status === PaymentStatus.REFUNDED, () => `its payment is ${status}`);
      });
    },
    /** An order, whatever becomes of it. Refused, or not answered, is an answer too. */
    async place(): Promise<boolean> {
      return order(1).then(
        () => true,
        (error: unknown) => !(error instanceof ConnectError) && Promise.reject(error),
      );
    },
    /** Compares our books with the provider's: how many things differ. */
    async reconcile() {
      return (await refunds.reconcile({})).differences.length;
    },
    /** An order now and then, so that whoever looks at the shop sees it at work. */
    async goOn(signal: AbortSignal) {
      for (; !signal.aborted; await Bun.sleep(PAUSE_MS)) await reserved();
    },
    /** A fact that nobody can read, as a broken teller would commit it. */
    async poison() {
      const id = crypto.randomUUID();
      await stack.database("order").sql`
        insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id)
        values (${id}, 'order', ${id}, 'order.created', '\\xff', now(), '', 'poison')`;
    },
    async discard() {
      for (const service of ["stock", "mail", "payment", "points", "kitchen", "product", "activity"])
        await stack.database(service).sql`delete from parked`;
    },
  };
}

/** Until the signal aborts. */
export async function stayLoggedIn(shop: Pick<Shop, "renewToken">, signal: AbortSignal): Promise<void> {
  for (; !signal.aborted; await sleep(RENEWED_EVERY_MS, signal))
    await shop.renewToken().catch((error: unknown) => {
      // What is broken just now may keep them out: the token is good for some more rounds.
      if (!(error instanceof ConnectError)) throw error;
    });
}

/** People who order all the time, while `look` looks. */
export async function withTrade<T>(shop: Pick<Shop, "place" | "renewToken">, look: () => Promise<T>): Promise<T> {
  const closed = new AbortController();
  const { signal } = closed;
  async function trade() {
    for (; !signal.aborted; await sleep(TRADER_PAUSE_MS, signal)) await shop.place();
  }
  const trading = Promise.all([stayLoggedIn(shop, signal), ...Array.from({ length: TRADERS }, trade)]);
  try {
    return await look();
  } finally {
    closed.abort();
    await trading;
  }
}
