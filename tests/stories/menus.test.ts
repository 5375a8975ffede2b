// What is on a menu is sold while the menu is open, by business time and the wall clock of its zone.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { MenuChanged } from "../../packages/api/facts.ts";
import { OrderService } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { factMessage, tell } from "../kit/messages.ts";
import { refusal } from "../kit/refusal.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

/** On sale from half past nine to eleven in Berlin; the clock of the tests begins at nine there. */
async function pancakes(collection: string) {
  const asAdmin = system.as("admin", ProductService);
  const { product } = await asAdmin.createProduct({
    ...{ requestId: collection, sku: collection, name: "Pancakes", collections: [collection, "sweet"] },
    ...{ price: { currencyCode: "EUR", minorUnits: 650n }, initialStock: 10 },
  });
  const { timeZone, windows } = { timeZone: "Europe/Berlin", windows: [{ opens: "09:30", closes: "11:00" }] };
  await asAdmin.setMenu({ collection, title: "Breakfast", timeZone, windows });
  await system.settle();
  return product?.productId ?? "";
}

test("an order is refused while the menu is closed, with its hours and when it opens, and taken while it is open", async () => {
  const productId = await pancakes("breakfast");
  const customer = system.as(system.newCustomer(), OrderService);
  const ask = (requestId: string) => customer.placeOrder({ requestId, lines: [{ productId, quantity: 1 }] });
  system.clock.advance(1_000);
  expect(await refusal(ask("early"))).toMatchObject({
    code: Code.FailedPrecondition,
    reason: "NOT_ON_SALE",
    message: `lines[0].product_id: product ${productId}, Pancakes, is not on sale now: expected an order within Breakfast 09:30-11:00 (Europe/Berlin), next from 2026-01-05T08:30:00.000Z`,
  });
  await system.advance(30 * 60_000);
  const { order } = await ask("in time");
  await system.advance(2 * 3_600_000);
  expect(await refusal(ask("late"))).toMatchObject({ reason: "NOT_ON_SALE" });
  // What was answered stays answered.
  expect(await ask("in time")).toMatchObject({ replayed: true, order: { orderId: order?.orderId ?? "" } });
});

test("a menu that is changed or removed changes what can be ordered; an old fact of it changes nothing", async () => {
  const productId = await pancakes("brunch");
  const asAdmin = system.as("admin", ProductService);
  const customer = system.as(system.newCustomer(), OrderService);
  const ask = (requestId: string) => customer.placeOrder({ requestId, lines: [{ productId, quantity: 1 }] });
  system.clock.advance(1_000);
  expect(await refusal(ask("a"))).toMatchObject({ reason: "NOT_ON_SALE" });
  const open = { collection: "brunch", title: "Brunch", timeZone: "Europe/Berlin", expectedVersion: 1n };
  await asAdmin.setMenu(open);
  await system.advance(1_000);
  await ask("b");
  const closed = { windows: [{ fromDate: "2020-01-01", untilDate: "2020-01-02" }] };
  await tell(system, factMessage(system, MenuChanged, { ...open, ...closed, version: 1n }));
  await system.advance(1_000);
  await ask("c");
  await asAdmin.setMenu({ ...open, ...closed, expectedVersion: 2n });
  await system.advance(1_000);
  expect((await refusal(ask("d"))).message).toEndWith("and never again");
  await asAdmin.removeMenu({ collection: "brunch" });
  await system.advance(1_000);
  await ask("e");
});

test("a product that order's copy knows from before there were menus is asked for once more", async () => {
  const productId = await pancakes("tea-time");
  const { sql } = system.app("order");
  await sql`update catalogue set collections = null where product_id = ${productId}`;
  system.clock.advance(24 * 3_600_000);
  const customer = system.as(system.newCustomer(), OrderService);
  const asked = customer.placeOrder({ requestId: "tea", lines: [{ productId, quantity: 1 }] });
  expect(await refusal(asked)).toMatchObject({ reason: "NOT_ON_SALE" });
});
