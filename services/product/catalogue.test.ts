import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Product, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockChangedSchema } from "../../packages/api/gen/bodega/stock/v1/events_pb.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { received } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { euros, type ProductSystem, startProduct } from "../../tests/kit/services/product.ts";
import { makeDemoProducts } from "./demo.ts";
import { onStockChanged } from "./on-stock-changed.ts";
import { fold } from "./product.ts";
import { findEvents, findProduct } from "./store.ts";

setDefaultTimeout(60_000);
let system: ProductSystem;
beforeAll(async () => {
  system = await startProduct();
});
afterAll(() => system.close());

/** The stream and the projection must say the same at any time. */
async function expectStreamToBeProjection(productId: string) {
  const { sql } = system.app("product");
  const projected = await findProduct(sql, productId);
  const { available: _, ...product } = projected ?? { available: 0 };
  expect(fold(await findEvents(sql, productId))).toEqual(product as never);
}

test("creating a product twice under one request id makes one product and tells of it once", async () => {
  const asked = {
    requestId: "once",
    sku: "ONCE",
    name: "Cup",
    price: euros(300n),
    collections: ["goods"],
    initialStock: 9,
  };
  const answers = await Promise.all([system.asAdmin.createProduct(asked), system.asAdmin.createProduct(asked)]);
  expect(answers[0].product).toEqual(answers[1].product as Product);
  expect(answers[0].product).toMatchObject({ sku: "ONCE", version: 1n, available: 0, archived: false });
  const history = await system.asAdmin.getProductHistory({ productId: answers[0].product?.productId ?? "" });
  expect(history.events.map(({ type }) => type)).toEqual(["product.created"]);
  expect(JSON.parse(history.events[0]?.changes ?? "")).toMatchObject({
    sku: "ONCE",
    initialStock: 9,
    price: { currencyCode: "EUR", minorUnits: "300" },
  });
  expect(history.events[0]?.actor).toBe(system.admin.userId);
  expect(history.events[0]?.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(await refusal(system.asAdmin.createProduct({ ...asked, name: "Other" }))).toMatchObject({
    code: Code.AlreadyExists,
    reason: "DUPLICATE_REQUEST_OTHER_BODY",
  });
});

test("a SKU is given once, also when two ask at the same moment and when its product is archived", async () => {
  const ask = (requestId: string) =>
    system.asAdmin.createProduct({ requestId, sku: "TAKEN", name: "Cup", price: euros(1n) });
  const outcomes = await Promise.allSettled([ask("a"), ask("b"), ask("c")]);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await refusal(ask("d"))).toMatchObject({
    code: Code.AlreadyExists,
    reason: "SKU_TAKEN",
    message: "expected a new SKU, found a product with TAKEN",
  });
  const { products } = await system.anyone.listProducts({ query: "TAKEN" });
  await system.asAdmin.archiveProduct({ productId: products[0]?.productId ?? "" });
  expect(await refusal(ask("e"))).toMatchObject({ reason: "SKU_TAKEN" });
});

test("an update names the version it saw; a stale one is told what was found and not to repeat itself", async () => {
  const { productId } = await system.make();
  const { product } = await system.asAdmin.updateProduct({
    productId,
    expectedVersion: 1n,
    name: "Big mug",
    price: euros(700n),
  });
  expect(product).toMatchObject({ name: "Big mug", version: 2n, price: { minorUnits: 700n } });
  expect(await refusal(system.asAdmin.updateProduct({ productId, expectedVersion: 1n, name: "Small mug" }))).toEqual({
    code: Code.Aborted,
    reason: "STALE_VERSION",
    message: `product ${productId}: expected version 1, found 2: read it again`,
    retryMs: undefined,
  });
  const other = {
    description: "Blue",
    prepared: true,
    collections: ["goods", "new"],
    price: { currencyCode: "USD", minorUnits: 0n },
  };
  await system.asAdmin.updateProduct({ productId, expectedVersion: 2n, ...other });
  expect((await system.anyone.getProduct({ productId })).product).toMatchObject({
    name: "Big mug",
    version: 3n,
    ...other,
  });
  await expectStreamToBeProjection(productId);
});

test("of many updates to one version, one wins", async () => {
  const { productId } = await system.make();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, n) =>
      system.asAdmin.updateProduct({ productId, expectedVersion: 1n, name: `Mug ${n}` }),
    ),
  );
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  const reasons = outcomes.flatMap((each) =>
    each.status === "rejected" ? [reasonOf(ConnectError.from(each.reason))] : [],
  );
  expect(new Set(reasons)).toEqual(new Set(["STALE_VERSION"]));
  expect((await system.anyone.getProduct({ productId })).product?.version).toBe(2n);
  await expectStreamToBeProjection(productId);
});

test("an update that changes nothing, or contradicts itself, is refused", async () => {
  const { productId, name } = await system.make({ collections: ["goods"] });
  const update = (fields: object) => system.asAdmin.updateProduct({ productId, expectedVersion: 1n, ...fields });
  expect(await refusal(update({}))).toMatchObject({ code: Code.InvalidArgument });
  expect(await refusal(update({ name, collections: ["goods"], prepared: false }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  expect(await refusal(update({ collections: ["a"], clearCollections: true }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  expect(await refusal(update({ name: "a\0b" }))).toMatchObject({ code: Code.InvalidArgument });
  expect(
    await refusal(system.asAdmin.updateProduct({ productId: system.random.id(), expectedVersion: 1n, name })),
  ).toMatchObject({ code: Code.NotFound, reason: "PRODUCT_NOT_FOUND" });
  expect((await update({ clearCollections: true })).product?.collections).toEqual([]);
});

test("an archived product is still shown, not listed, not updated; archiving again answers alike", async () => {
  const { productId } = await system.make({ name: "Relic" });
  const first = await system.asAdmin.archiveProduct({ productId });
  system.clock.advance(1_000);
  expect(await system.asAdmin.archiveProduct({ productId })).toEqual(first);
  expect((await system.anyone.getProduct({ productId })).product).toMatchObject({
    archived: true,
    version: 2n,
    name: "Relic",
  });
  expect((await system.anyone.listProducts({ query: "Relic" })).products).toEqual([]);
  expect(await refusal(system.asAdmin.updateProduct({ productId, expectedVersion: 1n, name: "New" }))).toMatchObject({
    code: Code.FailedPrecondition,
    reason: "PRODUCT_ARCHIVED",
  });
  expect(await refusal(system.asAdmin.archiveProduct({ productId: system.random.id() }))).toMatchObject({
    code: Code.NotFound,
  });
  await expectStreamToBeProjection(productId);
});

test("an archived product comes back as it was, under its own SKU; what is on the shelf answers alike", async () => {
  const { productId, sku } = await system.make({ name: "Comeback", collections: ["goods"] });
  const unarchive = () => system.asAdmin.unarchiveProduct({ productId });
  expect((await unarchive()).product).toMatchObject({ version: 1n, archived: false });
  await system.asAdmin.archiveProduct({ productId });
  const answers = await Promise.all([unarchive(), unarchive(), unarchive()]);
  expect(new Set(answers.map(({ product }) => product?.version))).toEqual(new Set([3n]));
  const { products } = await system.anyone.listProducts({ query: "Comeback", collection: "goods" });
  expect(products).toMatchObject([{ productId, sku, version: 3n, archived: false }]);
  await system.asAdmin.updateProduct({ productId, expectedVersion: 3n, name: "Comeback again" });
  await system.asAdmin.archiveProduct({ productId });
  const { events } = await system.asAdmin.getProductHistory({ productId });
  expect(events.map(({ type }) => type)).toEqual(
    ["created", "archived", "unarchived", "updated", "archived"].map((what) => `product.${what}`),
  );
  expect(await refusal(system.asAdmin.unarchiveProduct({ productId: system.random.id() }))).toMatchObject({
    code: Code.NotFound,
  });
  await expectStreamToBeProjection(productId);
});

test("a product's past is what its events said by then", async () => {
  const born = system.clock.now();
  const { productId } = await system.make({ name: "Draft", cents: 100n });
  system.clock.advance(60_000);
  await system.asAdmin.updateProduct({ productId, expectedVersion: 1n, name: "Final", price: euros(200n) });
  system.clock.advance(60_000);
  await system.asAdmin.archiveProduct({ productId });
  const asOf = async (ms: number) =>
    (await system.asAdmin.getProductHistory({ productId, at: timestampFromDate(new Date(born.getTime() + ms)) }))
      .product;
  expect(await asOf(-1)).toBeUndefined();
  expect(await asOf(0)).toMatchObject({ name: "Draft", version: 1n, price: { minorUnits: 100n } });
  expect(await asOf(59_999)).toMatchObject({ name: "Draft", version: 1n });
  expect(await asOf(60_000)).toMatchObject({
    name: "Final",
    version: 2n,
    archived: false,
    price: { minorUnits: 200n },
  });
  const now = await system.asAdmin.getProductHistory({ productId });
  expect(now.product).toEqual((await system.anyone.getProduct({ productId })).product as Product);
  expect(now.events.map(({ type, version }) => [type, version])).toEqual([
    ["product.created", 1n],
    ["product.updated", 2n],
    ["product.archived", 3n],
  ]);
  expect(now.events.map(({ at }) => at && timestampDate(at).getTime() - born.getTime())).toEqual([0, 60_000, 120_000]);
  expect(
    (await system.asAdmin.getProductHistory({ productId, at: { seconds: 1n << 60n, nanos: 0 } })).product?.version,
  ).toBe(3n);
});

test("history only grows: the database refuses to change it", async () => {
  await system.make();
  const { sql } = system.app("product");
  await expect(sql`update product_events set actor = 'nobody'`.execute()).rejects.toThrow(
    "product_events is append-only",
  );
  await expect(sql`delete from product_events`.execute()).rejects.toThrow("product_events is append-only");
});

test("stock's word counts by its version, however often and in whatever order it comes", async () => {
  const { productId } = await system.make();
  const app = system.app("product");
  const hear = (...said: [version: bigint, available: number][]) =>
    app.transact((tx) =>
      onStockChanged(
        app,
        tx,
        said.map(([version, available]) =>
          received(tx, create(StockChangedSchema, { productId, version, available, onHand: available })),
        ),
      ),
    );
  const available = async () => (await system.anyone.getProduct({ productId })).product?.available;
  await hear([2n, 20], [3n, 30], [1n, 10]);
  expect(await available()).toBe(30);
  await hear([2n, 20]);
  await hear([3n, 99]);
  expect(await available()).toBe(30);
  await hear([4n, 0]);
  expect(await available()).toBe(0);
  expect((await system.anyone.getProduct({ productId })).product?.version).toBe(1n);
});

test("demo products are made once: not again at a restart, not again when archived", async () => {
  const app = { ...system.app("product"), config: { demo: true } };
  const list = async () => (await system.anyone.listProducts({ query: "DEMO-" })).products;
  await makeDemoProducts({ ...app, config: { demo: false } });
  expect(await list()).toEqual([]);
  await makeDemoProducts(app);
  const first = await list();
  expect(first).toHaveLength(8);
  expect(new Set(first.map(({ prepared }) => prepared))).toEqual(new Set([true, false]));
  await Promise.all([makeDemoProducts(app), makeDemoProducts(app)]);
  expect(await list()).toEqual(first);
  await system.asAdmin.archiveProduct({ productId: first[0]?.productId ?? "" });
  await makeDemoProducts(app);
  expect(await list()).toEqual(first.slice(1));
  for (const { productId } of first) await expectStreamToBeProjection(productId);
});

test("only admins change the catalogue or read its history", async () => {
  const customer = system.as(system.newCustomer(), ProductService);
  const { productId } = await system.make();
  expect(await refusal(customer.archiveProduct({ productId }))).toMatchObject({ code: Code.PermissionDenied });
  expect(await refusal(customer.getProductHistory({ productId }))).toMatchObject({ code: Code.PermissionDenied });
  expect(await refusal(system.anyone.updateProduct({ productId, expectedVersion: 1n, name: "x" }))).toMatchObject({
    code: Code.Unauthenticated,
  });
  expect(await refusal(system.anyone.getProduct({ productId: "x" }))).toMatchObject({ code: Code.InvalidArgument });
});
