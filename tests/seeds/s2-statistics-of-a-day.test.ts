// Seed 2: orders are placed, near-real-time statistics of the day follow, and neither poison nor a restart in the middle costs a single one.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OrderCreated } from "../../packages/api/facts.ts";
import { ActivityService, TakingKind } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { CancelReason, OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { addCustomer, addProduct, pay, place } from "../kit/customers.ts";
import { factMessage } from "../kit/messages.ts";
import { ON_SERVERS } from "../kit/servers/real-ports.ts";
import { type System, startSystem, type User } from "../kit/system.ts";

setDefaultTimeout(120_000);
const HOUR_MS = 3_600_000;
const [MORNING, EVENING] = [40, 30];
const PRICE = 450n;

let system: System;
let productId: string;
let customer: User;
beforeAll(async () => {
  system = await startSystem();
  productId = await addProduct(system, { sku: "seed-2", stock: 1_000, price: PRICE });
  customer = await addCustomer(system);
});
afterAll(() => system.close());

const activity = () => system.as("admin", ActivityService);

async function today(): Promise<Record<string, number>> {
  const { counts } = await activity().getDay({});
  return Object.fromEntries(counts.map(({ type, quantity }) => [type, Number(quantity)]));
}

const placeMany = (count: number) =>
  Promise.all(Array.from({ length: count }, () => place(system, customer, productId)));

test("a day is counted exactly, with poison among its facts, a restart in its middle, and everything delivered again", async () => {
  const morning = await placeMany(MORNING);
  // Nobody waits for what was placed: it is in outboxes, in the log and in handlers when the process ends.
  const poison = {
    ...factMessage(system, OrderCreated, { orderId: system.random.id() }),
    body: Buffer.from("garbage"),
  };
  await system.platform.events.publish([poison]);
  await system.restart();
  const evening = await placeMany(EVENING);
  await system.settle();
  for (const { orderId } of morning.slice(0, 3)) await pay(system, customer, orderId);
  for (const { orderId } of evening.slice(0, 2)) await system.as(customer, OrderService).cancelOrder({ orderId });
  await system.settle();
  expect(await today()).toMatchObject({ "order.created": MORNING + EVENING, "order.paid": 3, "order.cancelled": 2 });

  // Kafka keeps its offsets to itself: there the restarts deliver again what was under way.
  if (!ON_SERVERS)
    await system.broker.sql`update fact_offsets set position = 0 where consumer in ('activity', 'eventlog')`;
  await system.restart();
  await system.settle();
  expect(await today()).toMatchObject({ "order.created": MORNING + EVENING, "order.paid": 3, "order.cancelled": 2 });
});

test("the poison is parked where a person finds it, and its neighbours have passed it", async () => {
  const { parked } = await system.as("admin", OpsService, "activity").listParked({ service: "activity" });
  expect(parked.map(({ type }) => type)).toEqual(["order.created"]);
  expect(parked[0]?.error).toContain("OrderCreated");
});

test("money is counted as exactly", async () => {
  const { takings } = await activity().getDay({});
  const of = (kind: TakingKind) => takings.filter((taking) => taking.kind === kind);
  expect(of(TakingKind.PLACED)[0]).toMatchObject({
    quantity: BigInt(MORNING + EVENING),
    amount: { currencyCode: "EUR", minorUnits: PRICE * BigInt(MORNING + EVENING) },
  });
  expect(of(TakingKind.PAID)[0]).toMatchObject({ quantity: 3n, amount: { minorUnits: 3n * PRICE } });
  expect(of(TakingKind.CANCELLED)[0]).toMatchObject({ quantity: 2n, cancelReason: CancelReason.CUSTOMER });
});

test("the journal gives the same day once more", async () => {
  const before = await today();
  const date = system.clock.now().toISOString().slice(0, 10);
  const { corrected, facts } = await activity().rebuildDay({ date, reason: "as the seed wants it: from the messages" });
  expect(corrected).toBe(0);
  expect(facts).toBe(BigInt(Object.values(before).reduce((a, b) => a + b)));
  await system.settle();
  const { "audit.recorded": _, ...after } = await today();
  expect(after).toEqual(Object.fromEntries(Object.entries(before).filter(([type]) => type !== "audit.recorded")));
});

test("what is left unpaid is cancelled on the next day, and counted there, by the hour", async () => {
  await system.advance(24 * HOUR_MS);
  const unpaid = MORNING + EVENING - 3 - 2;
  expect(await today()).toMatchObject({ "order.cancelled": unpaid });
  const { hours } = await activity().getDay({ hourly: true });
  const cancelled = hours.map(({ counts }) =>
    Number(counts.find(({ type }) => type === "order.cancelled")?.quantity ?? 0n),
  );
  expect(cancelled.filter((quantity) => quantity > 0)).toEqual([unpaid]);
  const { days } = await activity().listDays({});
  expect(days.map(({ date }) => date)).toEqual(["2026-01-06", "2026-01-05"]);
});
