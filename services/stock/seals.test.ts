import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { compareColumns, sealLedger } from "../../packages/database/sealed-ledger.ts";
import { addProduct } from "../../tests/kit/customers.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { BOOKS } from "./reconcile.ts";

setDefaultTimeout(60_000);

const ENTRIES = 30_000;
const SEALING = { versionsMin: 1_000, versionsMax: 8_000, sealsMax: 20 };

let system: System;
let busy: string;
let quiet: string;
beforeAll(async () => {
  system = await startSystem({ services: ["product", "stock"] });
  [busy, quiet] = [await addProduct(system, { sku: "busy" }), await addProduct(system, { sku: "quiet", stock: 3 })];
  // As many units as came went: what is there is what was there at first.
  await sql()`
    insert into stock_ledger (product_id, kind, cause_id, version, on_hand_delta, reserved_delta, reason, trace_id, at)
    select ${busy}, 'adjusted', 'test ' || number, 1 + number, case when number % 2 = 0 then -2 else 2 end, 0, '', '', ${system.clock.now()}
    from generate_series(1, ${ENTRIES}::int) as number`;
  await sql()`update stock_items set version = ${ENTRIES + 1} where product_id = ${busy}`;
  await sql()`analyze stock_ledger`;
});
afterAll(() => system.close());

const sql = () => system.app("stock").sql;
const reconcile = async (whole: boolean) => {
  const { differences, productsChecked } = await system.as("admin", StockService).reconcile({ whole });
  return { productsChecked, differences: differences.map((each) => [each.productId, each.column, each.columnValue - each.ledgerValue]) }; // biome-ignore format: one thing
};

/** Entries of the ledger that the server reads to compare the books of these products. */
function entriesRead(productIds: string[], whole: boolean): Promise<number> {
  return system.app("stock").transact(async (tx) => {
    const read = async () => {
      const [row] = await tx.sql<{ rows: number }[]>`
        select (idx_tup_fetch + seq_tup_read)::int as rows from pg_stat_xact_user_tables where relname = 'stock_ledger'`;
      return row?.rows ?? 0;
    };
    const before = await read();
    await compareColumns(tx.sql, BOOKS, productIds, whole);
    return (await read()) - before;
  });
}

test("a seal is put forward step by step, and is the sum up to its version", async () => {
  const seal = () => sealLedger(sql(), BOOKS, SEALING, system.clock.now());
  expect([await seal(), await seal()]).toEqual([4, 0]);
  const seals = await sql()`select product_id, version, on_hand, reserved from stock_seals`;
  expect(Array.from(seals)).toEqual([{ product_id: busy, version: BigInt(ENTRIES + 1), on_hand: 10, reserved: 0 }]);
});

test("the books agree with seals and without, and nothing before a seal is read again unless it is asked for", async () => {
  expect(await reconcile(false)).toEqual({ productsChecked: 2, differences: [] });
  expect(await reconcile(true)).toEqual({ productsChecked: 2, differences: [] });
  expect(await entriesRead([busy, quiet], false)).toBeLessThan(100);
  expect(await entriesRead([busy, quiet], true)).toBeGreaterThanOrEqual(ENTRIES);
});

test("what is booked after a seal counts, and a hand in the columns is found", async () => {
  await system
    .as("admin", StockService)
    .adjustStock({ requestId: "later", productId: busy, delta: 5, reason: "found" });
  await system.settle();
  expect((await reconcile(false)).differences).toEqual([]);
  await sql()`update stock_items set on_hand = on_hand + 1 where product_id = any(${[busy, quiet]})`;
  const found = [busy, quiet].toSorted().map((productId) => [productId, "on_hand", 1n]);
  expect((await reconcile(false)).differences).toEqual(found);
  await sql()`update stock_items set on_hand = on_hand - 1 where product_id = any(${[busy, quiet]})`;
});

test("a wrong seal is found: at once by the columns, and by the whole ledger when the columns were made to fit", async () => {
  await sql()`update stock_seals set on_hand = on_hand + 4 where product_id = ${busy}`;
  expect((await reconcile(false)).differences).toEqual([[busy, "on_hand", -4n]]);
  await sql()`update stock_items set on_hand = on_hand + 4 where product_id = ${busy}`;
  expect((await reconcile(false)).differences).toEqual([]);
  expect((await reconcile(true)).differences).toEqual([[busy, "sealed on_hand", 4n]]);
});

test("entries of a product that is on no shelf are found", async () => {
  const stray = "00000000-0000-7000-8000-000000000001";
  await sql()`
    insert into stock_ledger (product_id, kind, cause_id, version, on_hand_delta, reserved_delta, reason, trace_id, at)
    values (${stray}, 'adjusted', 'stray', 1, 7, 0, '', '', ${system.clock.now()})`;
  expect((await reconcile(false)).differences).toContainEqual([stray, "on_hand", -7n]);
});
