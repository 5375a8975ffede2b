import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type ProductSystem, startProduct } from "../../tests/kit/services/product.ts";

setDefaultTimeout(60_000);
let system: ProductSystem;
beforeAll(async () => {
  system = await startProduct();
});
afterAll(() => system.close());

test("pages follow each other without gap or repetition, whatever is added meanwhile", async () => {
  const expected = [];
  for (let n = 0; n < 7; n++)
    expected.push((await system.make({ name: `Paged ${n}`, collections: ["paged"] })).productId);
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await system.anyone.listProducts({ collection: "paged", pageSize: 3, pageToken });
    seen.push(...page.products.map(({ productId }) => productId));
    if (pageToken === "") await system.make({ name: "Unrelated" });
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(seen).toEqual(expected);
  const { nextPageToken } = await system.anyone.listProducts({ collection: "paged", pageSize: 3 });
  for (const other of [
    { collection: "menu" },
    { collection: "paged", query: "x" },
    { collection: "paged", priceMin: 1n },
  ]) {
    expect(await refusal(system.anyone.listProducts({ ...other, pageToken: nextPageToken }))).toMatchObject({
      code: Code.InvalidArgument,
    });
  }
  expect(await refusal(system.anyone.listProducts({ pageToken: "bm9wZQ" }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  expect(await refusal(system.anyone.listProducts({ pageSize: 101 }))).toMatchObject({ code: Code.InvalidArgument });
});

test("a search finds every word in the name, the SKU or the description, in any case", async () => {
  const { productId } = await system.make({
    sku: "TEA.9",
    name: "Green Tea",
    description: "from Uji",
    collections: ["tea"],
    cents: 880n,
  });
  await system.make({ name: "Green soap", collections: ["bath"], cents: 300n });
  const find = async (filters: object) =>
    (await system.anyone.listProducts(filters)).products.map((product) => product.productId);
  expect(await find({ query: "uji GREEN" })).toEqual([productId]);
  expect(await find({ query: "tea.9" })).toEqual([productId]);
  expect(await find({ query: "green", collection: "tea" })).toEqual([productId]);
  expect(await find({ query: "green", priceMin: 880n, priceMax: 880n })).toEqual([productId]);
  expect(await find({ query: "green", priceMin: 881n })).toEqual([]);
  expect(await find({ query: "green coffee" })).toEqual([]);
  expect(await refusal(system.anyone.listProducts({ priceMin: 2n, priceMax: 1n }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  expect(await refusal(system.anyone.listProducts({ query: "a\0" }))).toMatchObject({ code: Code.InvalidArgument });
});

test("percent, underscore and backslash are letters to look for, not patterns", async () => {
  const percent = await system.make({ name: "Zumo 100% fruit", collections: ["zumo"] });
  const underscore = await system.make({ name: "Zumo a_b", collections: ["zumo"] });
  const backslash = await system.make({ name: "Zumo c\\d", collections: ["zumo"] });
  await system.make({ name: "Zumo 100 x fruit, axb, cd", collections: ["zumo"] });
  const find = async (query: string) =>
    (await system.anyone.listProducts({ query, collection: "zumo" })).products.map((product) => product.productId);
  expect(await find("100%")).toEqual([percent.productId]);
  expect(await find("%")).toEqual([percent.productId]);
  expect(await find("a_b")).toEqual([underscore.productId]);
  expect(await find("c\\d")).toEqual([backslash.productId]);
  expect(await find("\\")).toEqual([backslash.productId]);
  expect(await find("' or true --")).toEqual([]);
});

test("a name is found however its accents are written", async () => {
  const [composed, apart] = ["Caf\u00e9 noir", "Cafe\u0301 au lait"];
  const made = [await system.make({ name: composed }), await system.make({ name: apart })];
  for (const query of ["caf\u00e9", "CAFE\u0301", "\uff43af\u00e9"]) {
    const { products } = await system.anyone.listProducts({ query });
    expect(products.map(({ productId }) => productId)).toEqual(made.map(({ productId }) => productId));
  }
});

test("what nobody pays with is no currency", async () => {
  const priced = (currencyCode: string) =>
    system.as("admin", ProductService).createProduct({
      ...{ requestId: `in ${currencyCode}`, sku: `in-${currencyCode}`, name: "tea" },
      price: { currencyCode, minorUnits: 100n },
    });
  expect((await priced("JPY")).product?.price?.currencyCode).toBe("JPY");
  expect(await refusal(priced("ABC"))).toMatchObject({
    code: Code.InvalidArgument,
    message: "price.currency_code: expected a currency of ISO 4217, found ABC",
  });
});
