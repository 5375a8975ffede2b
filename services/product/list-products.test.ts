import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Product, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { reasonOf, retryAfterMs } from "../../packages/service/errors.ts";
import { type System, startSystem } from "../../tests/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["product"] });
});
afterAll(() => system.close());

const admin = () => system.as("admin", ProductService);
const anyone = () => system.as("anonymous", ProductService);
const euros = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });

let made = 0;
async function make(
  fields: Partial<{ sku: string; name: string; description: string; collections: string[]; cents: bigint }> = {},
): Promise<Product> {
  const sku = fields.sku ?? `SKU-${made++}`;
  const { name = "Mug", description = "", collections = [], cents = 500n } = fields;
  const { product } = await admin().createProduct({
    requestId: sku,
    sku,
    name,
    description,
    collections,
    price: euros(cents),
    initialStock: 5,
  });
  if (!product) throw new Error("no product came back");
  return product;
}

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`expected a refusal, found ${String(error)}`);
  return { code: error.code, reason: reasonOf(error), message: error.rawMessage, retryMs: retryAfterMs(error) };
}

test("pages follow each other without gap or repetition, whatever is added meanwhile", async () => {
  const expected = [];
  for (let n = 0; n < 7; n++) expected.push((await make({ name: `Paged ${n}`, collections: ["paged"] })).productId);
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await anyone().listProducts({ collection: "paged", pageSize: 3, pageToken });
    seen.push(...page.products.map(({ productId }) => productId));
    if (pageToken === "") await make({ name: "Unrelated" });
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(seen).toEqual(expected);
  const { nextPageToken } = await anyone().listProducts({ collection: "paged", pageSize: 3 });
  for (const other of [
    { collection: "menu" },
    { collection: "paged", query: "x" },
    { collection: "paged", priceMin: 1n },
  ]) {
    expect(await refusal(anyone().listProducts({ ...other, pageToken: nextPageToken }))).toMatchObject({
      code: Code.InvalidArgument,
    });
  }
  expect(await refusal(anyone().listProducts({ pageToken: "bm9wZQ" }))).toMatchObject({ code: Code.InvalidArgument });
  expect(await refusal(anyone().listProducts({ pageSize: 101 }))).toMatchObject({ code: Code.InvalidArgument });
});

test("a search finds every word in the name, the SKU or the description, in any case", async () => {
  const { productId } = await make({
    sku: "TEA.9",
    name: "Green Tea",
    description: "from Uji",
    collections: ["tea"],
    cents: 880n,
  });
  await make({ name: "Green soap", collections: ["bath"], cents: 300n });
  const find = async (filters: object) =>
    (await anyone().listProducts(filters)).products.map((product) => product.productId);
  expect(await find({ query: "uji GREEN" })).toEqual([productId]);
  expect(await find({ query: "tea.9" })).toEqual([productId]);
  expect(await find({ query: "green", collection: "tea" })).toEqual([productId]);
  expect(await find({ query: "green", priceMin: 880n, priceMax: 880n })).toEqual([productId]);
  expect(await find({ query: "green", priceMin: 881n })).toEqual([]);
  expect(await find({ query: "green coffee" })).toEqual([]);
  expect(await refusal(anyone().listProducts({ priceMin: 2n, priceMax: 1n }))).toMatchObject({
    code: Code.InvalidArgument,
  });
  expect(await refusal(anyone().listProducts({ query: "a\0" }))).toMatchObject({ code: Code.InvalidArgument });
});

test("percent, underscore and backslash are letters to look for, not patterns", async () => {
  const percent = await make({ name: "Zumo 100% fruit", collections: ["zumo"] });
  const underscore = await make({ name: "Zumo a_b", collections: ["zumo"] });
  const backslash = await make({ name: "Zumo c\\d", collections: ["zumo"] });
  await make({ name: "Zumo 100 x fruit, axb, cd", collections: ["zumo"] });
  const find = async (query: string) =>
    (await anyone().listProducts({ query, collection: "zumo" })).products.map((product) => product.productId);
  expect(await find("100%")).toEqual([percent.productId]);
  expect(await find("%")).toEqual([percent.productId]);
  expect(await find("a_b")).toEqual([underscore.productId]);
  expect(await find("c\\d")).toEqual([backslash.productId]);
  expect(await find("\\")).toEqual([backslash.productId]);
  expect(await find("' or true --")).toEqual([]);
});
