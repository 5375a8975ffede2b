import { OpsService } from "../../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderService } from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { type Hold, HoldStatusSchema, PointsService } from "../../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { Sql } from "../../../packages/database/database.ts";
import { compareBooks } from "../../../services/points/compare-books.ts";
import { addCustomer, addProduct } from "../customers.ts";
import { type System, startSystem, type User } from "../system.ts";

// What people do with points, and what must hold of them.

/** PointsService as other services reach it. */
export function asService(system: System) {
  return system.app("points").call(PointsService);
}

export async function grant(system: System, { userId }: User, amount: bigint): Promise<void> {
  const requestId = system.random.id();
  await system.as("admin", PointsService).grantPoints({ requestId, userId, amount, reason: "a present" });
}

export async function customerWith(system: System, amount: bigint, name = "ann"): Promise<User> {
  const customer = await addCustomer(system, name);
  await grant(system, customer, amount);
  return customer;
}

/** The services that points are paid between, and a customer who can pay for everything. */
export async function startPoints(): Promise<{ system: System; burger: string; ann: User }> {
  const system = await startSystem({
    services: ["auth", "product", "stock", "order", "points", "kitchen", "mail", "payment"],
  });
  const burger = await addProduct(system, { sku: "crash-burger", stock: 5_000 });
  return { system, burger, ann: await customerWith(system, 10n ** 9n) };
}

export function payWithPoints(system: System, customer: User, orderId: string, requestId = system.random.id()) {
  return system.as(customer, OrderService).payWithPoints({ requestId, orderId });
}

/** Balance and what of it is held. */
export async function pointsOf(system: System, { userId }: User): Promise<[balance: bigint, held: bigint]> {
  const { balance, held } = await system.as("admin", PointsService).getBalance({ userId });
  return [balance, held];
}

export async function holdOf(system: System, orderId: string): Promise<Hold> {
  const { hold } = await asService(system).getHold({ orderId });
  if (!hold) throw new Error("GetHold answered without a hold");
  return hold;
}

/** What became of the order's newest hold. */
export async function holdStatus(system: System, orderId: string): Promise<string> {
  return HoldStatusSchema.value[(await holdOf(system, orderId)).status]?.localName ?? "";
}

/** Messages that the two sides of the commit have given up: always none. */
export async function parked(system: System): Promise<string[]> {
  const lists = await Promise.all(
    ["order", "points"].map((service) => system.as("admin", OpsService, service).listParked({ service })),
  );
  return lists.flatMap((list) => list.parked.map(({ type, error }) => `${type} is parked: ${error}`));
}

/** What is wrong with the books: always nothing. */
export async function pointsDifferences(system: System) {
  return (await system.as("admin", PointsService).reconcile({})).differences;
}

/** What the two-phase commit has left half-done, and what is wrong with the books: always nothing. */
export function halfDone(system: System): Promise<string[]> {
  return halfDoneIn(system.app("order").sql, system.app("points").sql);
}

/**
 * The same, read from the two databases, in sentences: an order is PAID by a hold exactly when that hold is spent, every decision is carried out,
 * and nothing is held for an order that is settled.
 */
export async function halfDoneIn(order: Sql, points: Sql): Promise<string[]> {
  const orders = await order<
    { order_id: string; status: string; hold_id: string | null; points: bigint | null }[]
  >`select order_id, status, hold_id, points from orders`;
  const decisions = await order<
    { order_id: string; hold_id: string; decision: string }[]
  >`select order_id, hold_id, decision from decisions`;
  const holds = await points<
    { order_id: string; hold_id: string; status: string; amount: bigint }[]
  >`select order_id, hold_id, status, amount from holds`;
  const byHold = new Map(holds.map((hold) => [hold.hold_id, hold]));
  const paidBy = new Map(orders.flatMap((each) => (each.hold_id ? [[each.hold_id, each]] : [])));
  const expected = (holdId: string) => {
    const paid = paidBy.get(holdId);
    if (!paid) return "RELEASED";
    return paid.status === "CANCELLED" ? "RETURNED" : "COMMITTED";
  };
  const { differences } = await compareBooks(points, true);
  return [
    ...holds
      .filter(({ hold_id, status }) => status !== expected(hold_id))
      .map(({ hold_id, status }) => `hold ${hold_id} is ${status}: expected ${expected(hold_id)}`),
    ...orders
      .filter((each) => each.hold_id && byHold.get(each.hold_id)?.amount !== each.points)
      .map(({ order_id, hold_id }) => `order ${order_id} says that hold ${hold_id} paid it, which has other points`),
    ...decisions
      .filter(({ hold_id, decision }) => (decision === "COMMIT") !== paidBy.has(hold_id))
      .map(({ hold_id, decision }) => `${decision} is recorded for hold ${hold_id}, and the order says otherwise`),
    ...differences.map(
      ({ id, what, expected: wanted, found }) => `${what} of ${id}: expected ${wanted}, found ${found}`,
    ),
  ];
}
