import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { refusal } from "../../tests/kit/refusal.ts";
import { type ProductSystem, startProduct } from "../../tests/kit/services/product.ts";

setDefaultTimeout(60_000);
let system: ProductSystem;
beforeAll(async () => {
  system = await startProduct();
});
afterAll(() => system.close());

const hours = { timeZone: "Europe/Berlin", windows: [{ opens: "09:30", closes: "11:00" }] };

const list = (collection: string, more: object = {}) => system.anyone.listProducts({ collection, ...more });

test("a menu has its own order, page by page, and those that it does not name follow", async () => {
  const ids: string[] = [];
  for (const name of ["a", "b", "c", "d", "e", "f"])
    ids.push((await system.make({ name, collections: ["ordered"] })).productId);
  const [a = "", b = "", c = "", d = "", e = "", f = ""] = ids;
  const elsewhere = await system.make({ name: "elsewhere" });
  await system.asAdmin.setMenu({
    ...{ collection: "ordered", title: "Ordered", timeZone: "UTC" },
    productIds: [e, elsewhere.productId, b, f],
  });
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await list("ordered", { pageSize: 2, pageToken });
    seen.push(...page.products.map(({ productId }) => productId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(seen).toEqual([e, b, f, a, c, d]);
  await system.asAdmin.removeMenu({ collection: "ordered" });
  expect((await list("ordered")).products.map(({ productId }) => productId)).toEqual(ids);
});

test("what is not served now is listed with when it will be; a plain word makes no difference", async () => {
  const pancakes = await system.make({ name: "Pancakes", collections: ["breakfast", "sweet"] });
  expect(pancakes.onSale).toBe(true);
  await system.asAdmin.setMenu({ collection: "breakfast", title: "Breakfast", ...hours });
  // It is nine in Berlin.
  const [closed] = (await list("breakfast")).products;
  expect(closed).toMatchObject({ productId: pancakes.productId, onSale: false, archived: false });
  expect(closed?.onSaleAt && timestampDate(closed.onSaleAt).toISOString()).toBe("2026-01-05T08:30:00.000Z");
  expect((await system.anyone.getMenu({ collection: "breakfast" })).menu).toMatchObject({ open: false, version: 1n });
  system.clock.advance(30 * 60_000);
  const [open] = (await list("breakfast")).products;
  expect(open).toMatchObject({ onSale: true });
  expect(open?.onSaleAt).toBeUndefined();
  expect((await system.anyone.getMenu({ collection: "breakfast" })).menu).toMatchObject({ open: true });
  system.clock.advance(90 * 60_000);
  const { product } = await system.anyone.getProduct({ productId: pancakes.productId });
  expect(product?.onSaleAt && timestampDate(product.onSaleAt).toISOString()).toBe("2026-01-06T08:30:00.000Z");
  const archived = await system.asAdmin.archiveProduct({ productId: pancakes.productId });
  expect(archived.product?.onSale).toBe(false);
  expect(archived.product?.onSaleAt).toBeUndefined();
});

test("a change names the version it saw, also after the menu was removed and made anew", async () => {
  const set = (expectedVersion: bigint, title = "Lunch") =>
    system.asAdmin.setMenu({ collection: "lunch", title, timeZone: "UTC", expectedVersion });
  expect((await set(0n)).menu).toMatchObject({ version: 1n, open: true });
  expect(await refusal(set(0n))).toMatchObject({ code: Code.Aborted, reason: "STALE_VERSION" });
  const outcomes = await Promise.allSettled([set(1n, "a"), set(1n, "b"), set(1n, "c")]);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await refusal(set(7n))).toMatchObject({
    message: "menu lunch: expected version 7, found 2: read it again",
  });
  await system.asAdmin.removeMenu({ collection: "lunch" });
  await system.asAdmin.removeMenu({ collection: "lunch" });
  expect(await refusal(system.anyone.getMenu({ collection: "lunch" }))).toMatchObject({ reason: "MENU_NOT_FOUND" });
  expect((await set(0n)).menu?.version).toBe(4n);
});

test("hours that no clock has, and products that are none, are refused by field", async () => {
  const set = (fields: object) =>
    refusal(system.asAdmin.setMenu({ collection: "bad", title: "Bad", timeZone: "UTC", ...fields }));
  expect(await set({ timeZone: "Mars/Olympus" })).toMatchObject({
    message: "time_zone: expected the name of a time zone, such as Europe/Berlin, found Mars/Olympus",
  });
  expect((await set({ windows: [{ opens: "25:00" }] })).message).toStartWith("windows[0].opens: ");
  expect((await set({ windows: [{}, { fromDate: "2026-02-30" }] })).message).toBe(
    "windows[1].from_date: expected a date such as 2026-12-01, found 2026-02-30",
  );
  expect((await set({ windows: [{ fromDate: "2026-02-03", untilDate: "2026-02-02" }] })).message).toBe(
    "windows[0].until_date: expected no day before 2026-02-03, found 2026-02-02",
  );
  const nobodys = system.random.id();
  expect((await set({ productIds: [nobodys] })).message).toBe(
    `product_ids[0]: expected a product, found none with ${nobodys}`,
  );
});

test("menus are listed page by page, in the order of their words, whatever is in these", async () => {
  const words = ["z z", "zä/1", "zzz"];
  for (const collection of words) await system.asAdmin.setMenu({ collection, title: collection, timeZone: "UTC" });
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await system.anyone.listMenus({ pageSize: 1, pageToken });
    seen.push(...page.menus.map(({ collection }) => collection));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(seen.filter((word) => word.startsWith("z")).toSorted()).toEqual(words.toSorted());
  expect(new Set(seen).size).toBe(seen.length);
});
