// What people do in a shop that is being looked at.
import { createClient } from "@connectrpc/connect";
import { makeCustomers, makeProducts, transport } from "../../bench/people.ts";
import type { Stack } from "../../bench/stack.ts";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OrderService, OrderStatus, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService, PaymentStatus } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { unless, until } from "./check.ts";

const PAUSE_MS = 500;

export type Shop = Awaited<ReturnType<typeof openShop>>;

export async function openShop(stack: Stack) {
  const [customer] = await makeCustomers(stack, 1);
  const [productId = ""] = await makeProducts(stack, 1);
  const { accessToken } = await createClient(AuthService, transport(stack)).login({
    email: stack.adminEmail,
    password: stack.adminPassword,
  });
  const orders = createClient(OrderService, transport(stack, customer?.token));
  const payments = createClient(PaymentService, transport(stack, customer?.token));
  const refunds = createClient(PaymentService, transport(stack, accessToken));
  const now = async (orderId: string) => (await orders.getOrder({ orderId })).order;

  async function reserved(): Promise<string> {
    const placed = await orders.placeOrder({ requestId: crypto.randomUUID(), lines: [{ productId, quantity: 1 }] });
    const orderId = placed.order?.orderId ?? "";
    await until("it is reserved", async () => {
      const order = await now(orderId);
      return unless(order?.reservation === Reservation.RESERVED, () => `its reservation is ${order?.reservation}`);
    });
    return orderId;
  }
  return {
    reserved,
    async is(orderId: string, status: OrderStatus) {
      const order = await now(orderId);
      return unless(order?.status === status, () => `its status is ${order?.status}`);
    },
    async paid(): Promise<string> {
      const orderId = await reserved();
      const { payment } = await payments.startPayment({ orderId });
      const form = new URLSearchParams({ outcome: "succeeded" });
      const res = await fetch(payment?.checkoutUrl ?? "", { method: "POST", body: form });
      if (!res.ok) throw new Error(`the pay page answered ${res.status}`);
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
