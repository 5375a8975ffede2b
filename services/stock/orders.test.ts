import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import * as facts from "../../packages/api/facts.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { ReservationStatus, StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { BodyInit, Fact } from "../../packages/api/messages.ts";
import { addProduct } from "../../tests/kit/customers.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
let told: FactEnvelope[] = [];
beforeAll(async () => {
  system = await startSystem({ services: ["product", "stock"] });
  system.platform.events.subscribe("test", ["stock"], async (batch) => {
    told.push(...batch);
  });
});
afterAll(() => system.close());

const stock = () => system.as("admin", StockService);

let made = 0;
async function makeProduct(initialStock: number): Promise<string> {
  const productId = await addProduct(system, { sku: `SKU-${made++}`, stock: initialStock });
  told = [];
  return productId;
}

/** In a trace of its own. */
function message<F extends Fact>(fact: F, init: BodyInit<F>): FactEnvelope {
  const sent = factMessage(system, fact, init);
  const traceparent = `00-${sent.id.replaceAll("-", "")}-00000000000000ab-01`;
  return { ...sent, traceparent, correlationId: `request-${sent.id}` };
}

const hear = (...messages: FactEnvelope[]) => tell(system, ...messages);

const created = (orderId: string, ...lines: [productId: string, quantity: number][]) =>
  message(facts.OrderCreated, { orderId, lines: lines.map(([productId, quantity]) => ({ productId, quantity })) });
const paid = (orderId: string) => message(facts.OrderPaid, { orderId });
const cancelled = (orderId: string) => message(facts.OrderCancelled, { orderId });
const order = () => system.random.idFor(system.newCustomer().userId);

async function figures(productId: string) {
  const { onHand, reserved } = (await stock().getStock({ productId })).stock ?? {};
  return [onHand, reserved];
}

async function expectBooksToAgree() {
  expect((await stock().reconcile({})).differences).toEqual([]);
}

/** When the newest reservation was made and last changed, counted from `since`. */
async function timesOf(orderId: string, since: number) {
  const { reservations } = await stock().listReservations({ pageSize: 1 });
  expect(reservations[0]?.orderId).toBe(orderId);
  return [reservations[0]?.createdAt, reservations[0]?.updatedAt].map((at) => at && timestampMs(at) - since);
}

const types = () => told.map(({ type }) => type).filter((type) => type !== "stock.changed");

test("a new product is stocked, and the catalogue hears what can be sold", async () => {
  const productId = await makeProduct(7);
  expect(await figures(productId)).toEqual([7, 0]);
  const { product } = await system.as("anonymous", ProductService).getProduct({ productId });
  expect(product?.available).toBe(7);
  await hear(created(order(), [productId, 3]));
  expect((await system.as("anonymous", ProductService).getProduct({ productId })).product?.available).toBe(4);
});

test("of 200 orders for the last unit one gets it and 199 are told that nothing is left", async () => {
  const productId = await makeProduct(1);
  const messages = Array.from({ length: 200 }, () => created(order(), [productId, 1]));
  await hear(...messages, ...messages.slice(0, 50));
  const of = (type: string) => told.filter((each) => each.type === type);
  expect(of("stock.reserved")).toHaveLength(1);
  expect(of("stock.rejected")).toHaveLength(199);
  expect(new Set(told.filter(({ type }) => type !== "stock.changed").map(({ key }) => key)).size).toBe(200);
  expect(of("stock.changed")).toHaveLength(1);
  expect(of("stock.reserved")[0]?.key).toBe(messages[0]?.key ?? "");
  expect(await figures(productId)).toEqual([1, 1]);
  await expectBooksToAgree();
});

test("each order's facts carry the request they came from, also out of one batch", async () => {
  const productId = await makeProduct(10);
  const messages = Array.from({ length: 5 }, () => created(order(), [productId, 1]));
  await hear(...messages);
  const reserved = told.filter(({ type }) => type === "stock.reserved");
  expect(reserved).toHaveLength(5);
  for (const each of messages) {
    const answer = reserved.find(({ key }) => key === each.key);
    expect(answer?.correlationId).toBe(each.correlationId);
    expect(answer?.traceparent.slice(0, 35)).toBe(each.traceparent.slice(0, 35));
  }
});

test("an order gets all of its lines or none, and is told each shortage", async () => {
  const [full, scarce] = [await makeProduct(10), await makeProduct(2)];
  const orderId = order();
  await hear(created(orderId, [full, 1], [scarce, 2], [scarce, 1]));
  expect(types()).toEqual(["stock.rejected"]);
  expect(await figures(full)).toEqual([10, 0]);
  expect(await figures(scarce)).toEqual([2, 0]);
  const { reservations } = await stock().listReservations({ status: ReservationStatus.REJECTED, pageSize: 1 });
  expect(reservations[0]).toMatchObject({
    orderId,
    lines: [
      { productId: full, quantity: 1 },
      { productId: scarce, quantity: 3 },
    ],
  });
  expect(told[0]?.body).toEqual(
    toBinary(
      facts.StockRejected.schema,
      create(facts.StockRejected.schema, { orderId, shortages: [{ productId: scarce, requested: 3, available: 2 }] }),
    ),
  );
});

test("reserve, pay, and every one of these facts twice: sold once", async () => {
  const productId = await makeProduct(5);
  const orderId = order();
  const [one, two] = [created(orderId, [productId, 2]), paid(orderId)];
  await hear(one, one, two, two);
  await hear(created(orderId, [productId, 2]), paid(orderId));
  expect(types()).toEqual(["stock.reserved", "stock.committed"]);
  expect(await figures(productId)).toEqual([3, 0]);
  await expectBooksToAgree();
});

test("an order that is cancelled gives back what it held, once, also within one batch", async () => {
  const productId = await makeProduct(5);
  const [orderId, other] = [order(), order()];
  await hear(created(orderId, [productId, 5]), cancelled(orderId), cancelled(orderId), created(other, [productId, 4]));
  expect(types()).toEqual(["stock.reserved", "stock.released", "stock.reserved"]);
  expect(await figures(productId)).toEqual([5, 4]);
  await hear(cancelled(orderId));
  expect(await figures(productId)).toEqual([5, 4]);
});

test("an order cancelled after it was paid puts its units back on the shelf", async () => {
  const productId = await makeProduct(5);
  const orderId = order();
  const since = system.clock.now().getTime();
  await hear(created(orderId, [productId, 2]));
  system.clock.advance(1_000);
  await hear(paid(orderId));
  expect(await timesOf(orderId, since)).toEqual([0, 1_000]);
  expect(await figures(productId)).toEqual([3, 0]);
  system.clock.advance(1_000);
  await hear(cancelled(orderId), cancelled(orderId), paid(orderId));
  expect(await timesOf(orderId, since)).toEqual([0, 2_000]);
  expect(await figures(productId)).toEqual([5, 0]);
  expect(types()).toEqual(["stock.reserved", "stock.committed", "stock.released"]);
  const { sql } = system.app("stock");
  const kinds = await sql`select kind from stock_ledger where cause_id = ${orderId} order by version`;
  expect(kinds.map(({ kind }) => kind)).toEqual(["reserved", "committed", "returned"]);
  await expectBooksToAgree();
});

test("an order cancelled before it was heard of never reserves", async () => {
  const productId = await makeProduct(5);
  const orderId = order();
  await hear(cancelled(orderId));
  await hear(created(orderId, [productId, 2]), paid(orderId), cancelled(orderId));
  expect(types()).toEqual(["stock.released"]);
  expect(await figures(productId)).toEqual([5, 0]);
});

test("an order that is early waits for its product, and its neighbours do not wait for it", async () => {
  const [productId, late] = [await makeProduct(5), system.random.id()];
  const [early, punctual] = [order(), order()];
  await system.platform.events.publish([created(early, [late, 1]), created(punctual, [productId, 1])]);
  const { sql } = system.app("stock");
  while ((await sql`select from reservations where order_id = ${punctual}`).length === 0) await Bun.sleep(5);
  await hear(message(facts.ProductCreated, { productId: late, initialStock: 1 }));
  expect(await figures(late)).toEqual([1, 1]);
  expect(types().toSorted()).toEqual(["stock.reserved", "stock.reserved"]);
});

test("poison is parked alone: an order of nothing, and one for a product that does not exist", async () => {
  const productId = await makeProduct(5);
  const [empty, unknown, good] = [order(), order(), order()];
  await hear(created(empty), created(unknown, [system.random.id(), 1]), created(good, [productId, 1]));
  expect(types()).toEqual(["stock.reserved"]);
  const { sql } = system.app("stock");
  // A product that is not there may only be early, for an hour.
  await system.advance(3_600_000);
  const parked = await sql`select key, attempts from parked order by attempts`;
  expect(parked.map(({ key, attempts }) => [key, attempts === 1])).toEqual([
    [empty, true],
    [unknown, false],
  ]);
});

test("an order that was rejected cannot be paid: that is a bug, and it is parked", async () => {
  const productId = await makeProduct(0);
  const orderId = order();
  await hear(created(orderId, [productId, 1]), paid(orderId));
  expect(await figures(productId)).toEqual([0, 0]);
  const { sql } = system.app("stock");
  const [parked] = await sql`select error from parked where key = ${orderId}`;
  expect(parked?.["error"]).toContain("expected a reservation, found it REJECTED");
});
