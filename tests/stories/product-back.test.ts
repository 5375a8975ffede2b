// A product leaves the shelf and comes back, and everybody who keeps a copy of it follows.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ProductArchived, ProductUnarchived } from "../../packages/api/facts.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { addProduct } from "../kit/customers.ts";
import { collectFacts, factMessage, tell } from "../kit/messages.ts";
import { refusal } from "../kit/refusal.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

function order(productId: string, requestId: string) {
  return system.as(system.newCustomer(), OrderService).placeOrder({ requestId, lines: [{ productId, quantity: 1 }] });
}

test("what was archived cannot be ordered, and what is back can, with the stock it has by now", async () => {
  const productId = await addProduct(system, { sku: "back", stock: 5 });
  const asAdmin = system.as("admin", ProductService);
  const told = await collectFacts(system, [ProductArchived, ProductUnarchived]);
  await asAdmin.archiveProduct({ productId });
  await system.settle();
  system.clock.advance(1_000);
  expect((await refusal(order(productId, "a"))).message).toContain("is not for sale");
  const adjusted = { requestId: "while away", productId, delta: 2, reason: "found some" };
  await system.as("admin", StockService).adjustStock(adjusted);
  await asAdmin.unarchiveProduct({ productId });
  await system.settle();
  system.clock.advance(1_000);
  expect((await order(productId, "b")).order?.lines).toMatchObject([{ productId, quantity: 1 }]);
  await system.settle();
  expect((await asAdmin.getProduct({ productId })).product).toMatchObject({ archived: false, available: 6 });
  expect(told.map(({ type }) => type)).toEqual(["product.archived", "product.unarchived"]);
});

test("an archive that is heard after the return changes nothing, and a return that is heard twice neither", async () => {
  const productId = await addProduct(system, { sku: "late", stock: 5 });
  const asAdmin = system.as("admin", ProductService);
  await asAdmin.archiveProduct({ productId });
  const { product } = await asAdmin.unarchiveProduct({ productId });
  await system.settle();
  const back = factMessage(system, ProductUnarchived, {
    ...{ productId, sku: "late", name: "late", version: 3n },
    ...(product?.price && { price: product.price }),
  });
  await tell(system, factMessage(system, ProductArchived, { productId, version: 2n }), back, back);
  await system.settle();
  system.clock.advance(1_000);
  expect((await order(productId, "c")).order?.lines).toMatchObject([{ name: product?.name ?? "" }]);
});
