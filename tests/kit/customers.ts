import type { Client } from "@connectrpc/connect";
import { UserRegistered } from "../../packages/api/facts.ts";
import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { KitchenService } from "../../packages/api/gen/bodega/kitchen/v1/kitchen_pb.ts";
import { type Order, OrderService, Reservation } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PaymentService } from "../../packages/api/gen/bodega/payment/v1/payment_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { paymentRoutes } from "../../services/payment/routes.ts";
import type { System, User } from "./system.ts";

// What the people of a story do.

export async function addProduct(
  system: System,
  { sku = "burger", stock = 10, price = 450n, prepared = true } = {},
): Promise<string> {
  const { product } = await system.as("admin", ProductService).createProduct({
    requestId: `make-${sku}`,
    sku,
    name: sku,
    price: { currencyCode: "EUR", minorUnits: price },
    prepared,
    initialStock: stock,
  });
  await system.settle();
  return product?.productId ?? "";
}

/** A customer whom mail knows, as if registered. */
export async function addCustomer(system: System, name = "ann"): Promise<User> {
  const customer = system.newCustomer();
  await system.app("auth").transact(async (tx) => {
    tx.emit(UserRegistered, {
      userId: customer.userId,
      email: `${name}-${customer.userId}@bodega.test`,
      displayName: name,
      roles: [Role.CUSTOMER],
    });
  });
  await system.settle();
  return customer;
}

export async function place(
  system: System,
  customer: User,
  productId: string,
  quantity = 1,
  requestId = system.random.id(),
): Promise<Order> {
  const { order } = await system.as(customer, OrderService).placeOrder({ requestId, lines: [{ productId, quantity }] });
  if (!order) throw new Error("PlaceOrder answered without an order");
  return order;
}

/** An order that can be paid. */
export async function reserved(system: System, customer: User, productId: string, quantity = 1): Promise<string> {
  const { orderId } = await place(system, customer, productId, quantity);
  await system.settle();
  return orderId;
}

export async function orderNow(system: System, orderId: string): Promise<Order> {
  const { order } = await system.as("admin", OrderService).getOrder({ orderId });
  if (!order) throw new Error("GetOrder answered without an order");
  return order;
}

/** Opens a checkout and plays the provider; the webhook travels its whole way. */
export async function pay(
  system: System,
  customer: User,
  orderId: string,
  outcome: "succeeded" | "declined" | "abandoned" = "succeeded",
): Promise<string> {
  const { payment } = await system.as(customer, PaymentService).startPayment({ orderId });
  const paymentId = payment?.paymentId ?? "";
  await playProvider(system, paymentId, outcome);
  return paymentId;
}

export async function playProvider(system: System, paymentId: string, outcome: string): Promise<void> {
  // App is generic in its configuration; this one is payment's.
  const routes = paymentRoutes(system.app("payment") as App<never>);
  const form = new URLSearchParams({ outcome });
  const response = await routes.request(`/pay/${paymentId}`, { method: "POST", body: form });
  if (response.status !== 200) throw new Error(`the pay page answered ${response.status}: ${await response.text()}`);
}

/** The kitchen makes what an order needs, as far as it is ready; gives back its ticket. */
export async function cook(system: System, orderId: string): Promise<string> {
  const kitchen = system.as("kitchen", KitchenService);
  const [ticket] = (await kitchen.listTickets({ orderId })).tickets;
  if (!ticket) throw new Error(`order ${orderId} has no ticket`);
  const { ticketId } = ticket;
  await kitchen.acceptTicket({ ticketId });
  await kitchen.markReady({ ticketId });
  return ticketId;
}

export async function handOver(system: System, orderId: string): Promise<void> {
  const ticketId = await cook(system, orderId);
  await system.as("kitchen", KitchenService).handOver({ ticketId });
  await system.settle();
}

export async function stockOf(system: System, productId: string) {
  const { stock } = await system.as("admin", StockService).getStock({ productId });
  return { onHand: stock?.onHand, reserved: stock?.reserved, available: stock?.available };
}

/** The differences between ledger and columns: always none. */
export async function differences(system: System) {
  return (await system.as("admin", StockService).reconcile({})).differences;
}

/** Templates of the mails about an order, in the order they were handed over. */
export async function mailsAbout(system: System, orderId: string): Promise<string[]> {
  const rows = await system.app("mail").sql<
    { template: string }[]
  >`select template from mails where order_id = ${orderId} and status = 'SENT' order by mail_id`;
  return rows.map((row) => row.template);
}

export function isReserved(order: Order): boolean {
  return order.reservation === Reservation.RESERVED;
}

export type Orders = Client<typeof OrderService>;
