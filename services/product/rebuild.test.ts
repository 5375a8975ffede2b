import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Client } from "@connectrpc/connect";
import { integer, sample } from "fast-check";
import {
  type RebuildProductsResponse_Difference as Difference,
  ProductService,
} from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { euros } from "../../tests/kit/services/product.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { fold } from "./product.ts";
import { findEvents } from "./store.ts";

setDefaultTimeout(120_000);
const SEED = 20_260_105;
const PRODUCTS = 60;
const STEPS = 6;
const PAGE = 7;

let system: System;
let admin: Client<typeof ProductService>;
beforeAll(async () => {
  system = await startSystem({ services: ["product", "stock"] });
  admin = system.as("admin", ProductService);
  await liveLives(
    createDice(SEED),
    Array.from({ length: PRODUCTS }, (_, n) => `LIFE-${n}`),
  );
  await system.settle();
});
afterAll(() => system.close());

/** Chance that can be repeated. */
function createDice(seed: number) {
  const drawn = sample(integer({ min: 0, max: 2 ** 30 }), { seed, numRuns: 5_000 }).values();
  const below = (limit: number) => (drawn.next().value ?? 0) % limit;
  return {
    between: (min: number, max: number) => min + below(max - min + 1),
    chance: (percent: number) => below(100) < percent,
    pick: <T>(from: readonly [T, ...T[]]): T => from[below(from.length)] ?? from[0],
  };
}

type Dice = ReturnType<typeof createDice>;

/** Lives as shops live them: born, renamed, priced anew, moved between collections, archived and brought back. */
async function liveLives(dice: Dice, skus: string[]) {
  for (const sku of skus) {
    const made = await admin.createProduct({
      ...{ requestId: sku, sku, name: sku, description: dice.pick(["", "é", "two\nlines"]) },
      ...{
        price: euros(BigInt(dice.between(0, 900))),
        collections: dice.pick<string[]>([[], ["a"], ["a", "b"]]),
        initialStock: 9,
      },
    });
    let version = made.product?.version ?? 0n;
    const productId = made.product?.productId ?? "";
    for (let step = dice.between(0, STEPS); step > 0; step -= 1) {
      system.clock.advance(dice.between(0, 5_000));
      const { product } = await liveOn(dice, productId, version);
      version = product?.version ?? version;
    }
  }
}

async function liveOn(dice: Dice, productId: string, expectedVersion: bigint) {
  const { product } = await admin.getProduct({ productId });
  if (product?.archived) return admin.unarchiveProduct({ productId });
  if (dice.chance(20)) return admin.archiveProduct({ productId });
  const change = dice.pick<object>([
    { name: `name ${expectedVersion}` },
    { price: euros(expectedVersion), description: "" },
    { prepared: !product?.prepared },
    { collections: [`c${expectedVersion}`] },
  ]);
  return admin.updateProduct({ productId, expectedVersion, ...change });
}

const sql = () => system.app("product").sql;

/** Everything of every row but how often stock has spoken. */
const rows = () => sql()`select * from products order by product_id`.then((found) => found.map(({ ...row }) => row));

async function rebuild(pageSize = PAGE): Promise<Difference[]> {
  const found: Difference[] = [];
  let pageToken = "";
  do {
    const step = await admin.rebuildProducts({ pageSize, pageToken, reason: "a test" });
    found.push(...step.differences);
    pageToken = step.nextPageToken;
  } while (pageToken !== "");
  return found;
}

test("rows that were right are rebuilt to the same rows", async () => {
  const before = await rows();
  expect(before.length).toBe(PRODUCTS);
  expect(await rebuild()).toEqual([]);
  expect(await rows()).toEqual(before);
});

test("rows that were damaged or lost are what they were, stock's word too, and it is said what was wrong with which", async () => {
  const before = await rows();
  const ids = before.map((row) => String(row["product_id"]));
  await sql()`update products set name = 'damaged', version = version + 7 where product_id = ${ids[3] ?? ""}`;
  await sql()`update products set archived = not archived where product_id = ${ids[20] ?? ""}`;
  await sql()`delete from products where product_id = any(${[ids[0] ?? "", ids[59] ?? ""]})`;
  expect(await rebuild()).toMatchObject([
    { productId: ids[0], fields: ["row"] },
    { productId: ids[3], fields: ["name", "version"] },
    { productId: ids[20], fields: ["archived"] },
    { productId: ids[59], fields: ["row"] },
  ]);
  // Stock's own versions begin anew in a row that was lost: its next word is newer than any.
  const without = (found: Record<string, unknown>[]) => found.map(({ stock_version: _, ...row }) => row);
  expect(without(await rows())).toEqual(without(before));
  const adjusted = { requestId: "more", productId: ids[0] ?? "", delta: 5, reason: "found some" };
  await system.as("admin", StockService).adjustStock(adjusted);
  await system.settle();
  expect((await admin.getProduct({ productId: ids[0] ?? "" })).product?.available).toBe(14);
  await system.as("admin", StockService).adjustStock({ ...adjusted, requestId: "less", delta: -5 });
  await system.settle();
});

test("all rows lost at once come back from their events alone", async () => {
  const before = await rows();
  await sql()`delete from products`;
  expect(await rebuild(100)).toHaveLength(PRODUCTS);
  const without = (found: Record<string, unknown>[]) => found.map(({ stock_version: _, ...row }) => row);
  expect(without(await rows())).toEqual(without(before));
});

test("a row without events is told and left alone", async () => {
  const orphan = system.random.id();
  await sql()`insert into products (product_id, sku, name, description, currency_code, price_minor_units, collections, prepared, archived, version, created_at, updated_at)
    select ${orphan}, 'ORPHAN', name, description, currency_code, price_minor_units, collections, prepared, archived, version, created_at, updated_at from products limit 1`;
  expect(await rebuild()).toMatchObject([{ productId: orphan, fields: ["events"] }]);
  await sql()`delete from products where product_id = ${orphan}`;
});

test("beside writers nothing is lost, refused or taken for damage", async () => {
  const dice = createDice(SEED + 1);
  const ids = (await rows()).map((row) => String(row["product_id"]));
  let over = false;
  const writer = async () => {
    for (let n = 0; n < 60; n++) {
      const productId = ids[dice.between(0, ids.length - 1)] ?? "";
      const { product } = await admin.getProduct({ productId });
      // Of two writers one may come too late; that is not the rebuild's doing.
      await liveOn(dice, productId, product?.version ?? 0n).catch((error: unknown) => {
        if (!/STALE|expected version|archived/.test(String(error))) throw error;
      });
    }
  };
  const writers = Promise.all([writer(), writer(), liveLives(dice, ["LATE-1", "LATE-2", "LATE-3"])]).finally(() => {
    over = true;
  });
  const found: Difference[] = [];
  while (!over) found.push(...(await rebuild(25)));
  await writers;
  expect(found).toEqual([]);
  expect(await rebuild()).toEqual([]);
  for (const productId of ids) {
    const product = fold(await findEvents(sql(), productId));
    expect((await admin.getProduct({ productId })).product).toMatchObject({
      name: product?.name,
      version: product?.version,
      archived: product?.archived,
    });
  }
});
