import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { FactEnvelope } from "../../packages/api/envelope.ts";
import * as facts from "../../packages/api/facts.ts";
import { ReservationStatus, StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { BodyInit, Fact } from "../../packages/api/messages.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { addProduct } from "../../tests/kit/customers.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["product", "stock"] });
});
afterAll(() => system.close());

const stock = () => system.as("admin", StockService);

let made = 0;
async function makeProduct(initialStock: number): Promise<string> {
  const productId = await addProduct(system, { sku: `SKU-${made++}`, stock: initialStock });
  return productId;
}

const message = <F extends Fact>(fact: F, init: BodyInit<F>) => factMessage(system, fact, init);
const hear = (...messages: FactEnvelope[]) => tell(system, ...messages);

const created = (orderId: string, ...lines: [productId: string, quantity: number][]) =>
  message(facts.OrderCreated, { orderId, lines: lines.map(([productId, quantity]) => ({ productId, quantity })) });
const order = () => system.random.idFor(system.newCustomer().userId);

async function figures(productId: string) {
  const { onHand, reserved } = (await stock().getStock({ productId })).stock ?? {};
  return [onHand, reserved];
}

async function expectBooksToAgree() {
  expect((await stock().reconcile({})).differences).toEqual([]);
}

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`expected a refusal, found ${String(error)}`);
  return { code: error.code, reason: reasonOf(error), message: error.rawMessage };
}

test("an adjustment counts once per request, and leaves alone what is reserved", async () => {
  const productId = await makeProduct(5);
  await hear(created(order(), [productId, 4]));
  const asked = { requestId: `adjust-${productId}`, productId, delta: 3, reason: "delivery" };
  const answers = await Promise.all([stock().adjustStock(asked), stock().adjustStock(asked)]);
  for (const answer of answers) expect(answer.stock).toMatchObject({ onHand: 8, reserved: 4, available: 4 });
  expect(await refusal(stock().adjustStock({ ...asked, delta: 4 }))).toMatchObject({ code: Code.AlreadyExists });
  expect(await refusal(stock().adjustStock({ requestId: "too much", productId, delta: -5, reason: "broken" }))).toEqual(
    {
      code: Code.FailedPrecondition,
      reason: "NOT_ENOUGH_ON_HAND",
      message: `product ${productId}: expected at most 4 units to be removed, found 5; 4 of 8 are reserved`,
    },
  );
  await stock().adjustStock({
    requestId: `least-${productId}`,
    productId: productId.toUpperCase(),
    delta: -4,
    reason: "broken",
  });
  expect(await figures(productId)).toEqual([4, 4]);
  expect(
    await refusal(stock().adjustStock({ requestId: "flood", productId, delta: 1_000_000_000, reason: "x" })),
  ).toMatchObject({ code: Code.OutOfRange });
  expect(await refusal(stock().adjustStock({ requestId: "nul", productId, delta: 1, reason: "\0" }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  // The stored answer may be forgotten; the ledger is not.
  await system.app("stock").sql`delete from idempotency`;
  expect(await refusal(stock().adjustStock(asked))).toMatchObject({
    code: Code.AlreadyExists,
    reason: "REQUEST_ID_USED",
  });
  await system.settle();
  await expectBooksToAgree();
});

test("a request that was refused may come again under its key, and is answered when what it asks for has become possible", async () => {
  const productId = await makeProduct(1);
  const asked = { requestId: "too-early", productId, delta: -3, reason: "sold at the counter" };
  const refused = await stock()
    .adjustStock(asked)
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: Code.FailedPrecondition });
  await stock().adjustStock({ requestId: "delivery", productId, delta: 5, reason: "a delivery" });
  expect((await stock().adjustStock(asked)).stock).toMatchObject({ onHand: 3 });
});

test("a product may be adjusted before its creation is heard of here; its initial stock still counts once", async () => {
  const productId = await makeProduct(6);
  const { sql } = system.app("stock");
  // As if product.created were still on the way.
  await sql`alter table stock_ledger disable trigger user`;
  await sql`delete from stock_ledger where product_id = ${productId}`;
  await sql`alter table stock_ledger enable trigger user`;
  await sql`delete from stock_items where product_id = ${productId}`;
  expect(await refusal(stock().getStock({ productId }))).toMatchObject({
    code: Code.NotFound,
    reason: "STOCK_NOT_FOUND",
  });
  expect(
    (await stock().adjustStock({ requestId: `early-${productId}`, productId, delta: 2, reason: "delivery" })).stock
      ?.onHand,
  ).toBe(2);
  const late = () => message(facts.ProductCreated, { productId, initialStock: 6 });
  await hear(late(), late());
  await hear(late());
  expect(await figures(productId)).toEqual([8, 0]);
  expect(await sql`select from parked where key = ${productId}`).toHaveLength(0);
  expect(await sql`select from jobs where key = ${productId}`).toHaveLength(0);
  expect(
    await refusal(stock().adjustStock({ requestId: "nobody's", productId: system.random.id(), delta: 2, reason: "x" })),
  ).toMatchObject({ code: Code.NotFound, reason: "PRODUCT_NOT_FOUND" });
  await expectBooksToAgree();
});

test("availability is asked for in lines and answered in lines", async () => {
  const productId = await makeProduct(3);
  const unknown = system.random.id();
  const customer = system.as(system.newCustomer(), StockService);
  const { lines } = await customer.checkAvailability({
    lines: [{ productId: productId.toUpperCase() }, { productId: unknown }, { productId }],
  });
  expect(lines.map(({ available }) => available)).toEqual([3, 0, 3]);
  expect(await refusal(customer.reconcile({}))).toMatchObject({ code: Code.PermissionDenied });
  expect(await refusal(system.as("anonymous", StockService).getStock({ productId }))).toMatchObject({
    code: Code.Unauthenticated,
  });
});

test("reservations are listed newest first, page by page, and a token holds for its status only", async () => {
  const productId = await makeProduct(4);
  const orders: string[] = [];
  for (let n = 0; n < 5; n++) {
    orders.push(order());
    system.clock.advance(1);
  }
  await hear(...orders.map((orderId) => created(orderId, [productId, 1])));
  const page = await stock().listReservations({ pageSize: 2 });
  const rest = await stock().listReservations({ pageSize: 3, pageToken: page.nextPageToken });
  expect([...page.reservations, ...rest.reservations].map(({ orderId }) => orderId)).toEqual(orders.toReversed());
  expect(page.reservations[0]?.status).toBe(ReservationStatus.REJECTED);
  expect(
    await refusal(stock().listReservations({ pageToken: page.nextPageToken, status: ReservationStatus.RESERVED })),
  ).toMatchObject({ code: Code.InvalidArgument });
});

test("reconcile finds a hand in the columns, and the ledger lets no hand in", async () => {
  const productId = await makeProduct(4);
  const { sql } = system.app("stock");
  await expect(sql`update stock_ledger set on_hand_delta = 9`.execute()).rejects.toThrow("stock_ledger is append-only");
  await sql`update stock_items set on_hand = 9 where product_id = ${productId}`;
  const { differences } = await stock().reconcile({});
  expect(differences).toMatchObject([{ productId, column: "on_hand", columnValue: 9n, ledgerValue: 4n }]);
  await sql`update stock_items set on_hand = 4 where product_id = ${productId}`;
  await expectBooksToAgree();
  await expect(sql`update stock_items set reserved = 5 where product_id = ${productId}`.execute()).rejects.toThrow(
    "check constraint",
  );
});
