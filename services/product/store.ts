import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
import { rowsOf, table } from "../../packages/database/table.ts";
import type { Changes, Product, ProductEvent } from "./product.ts";

/** A product with stock's word on it. */
export type Shelved = Product & { available: number };

export interface Shelf {
  /** Each must be found in the name, the SKU or the description. */
  words: string[];
  collection: string;
  priceMin: bigint | undefined;
  priceMax: bigint | undefined;
}

/** False when the SKU is taken; then nothing was written. */
export async function insertProduct(sql: Sql, product: Product): Promise<boolean> {
  const { productId, sku, name, description, currencyCode, priceMinorUnits, collections, prepared, archived } = product;
  const rows = await sql`
    insert into products (product_id, sku, name, description, currency_code, price_minor_units, collections, prepared, archived, version, created_at, updated_at)
    values (${productId}, ${sku}, ${name}, ${description}, ${currencyCode}, ${priceMinorUnits}, ${collections}, ${prepared}, ${archived},
      ${product.version}, ${product.createdAt}, ${product.updatedAt})
    on conflict (sku) do nothing returning product_id`;
  return rows.length === 1;
}

/** The winner of two updates is who finds the version it expects; false for the other. */
export async function saveProduct(sql: Sql, product: Product): Promise<boolean> {
  const rows = await sql`
    update products set name = ${product.name}, description = ${product.description}, currency_code = ${product.currencyCode},
      price_minor_units = ${product.priceMinorUnits}, collections = ${product.collections}, prepared = ${product.prepared},
      archived = ${product.archived}, version = ${product.version}, updated_at = ${product.updatedAt}
    where product_id = ${product.productId} and version = ${product.version - 1n} returning product_id`;
  return rows.length === 1;
}

const PRODUCT_EVENTS = table("product_events", {
  product_id: "uuid",
  version: "bigint",
  type: "text",
  changes: "jsonb",
  actor: "text",
  trace_id: "text",
  at: "timestamptz",
});

export function insertEvent(tx: Recording, event: ProductEvent): void {
  const { productId, version, type, changes, actor, traceId, at } = event;
  tx.insert(PRODUCT_EVENTS, { product_id: productId, version, type, changes, actor, trace_id: traceId, at });
}

export async function findProduct(sql: Sql, productId: string): Promise<Shelved | undefined> {
  const [row] = await sql<ProductRow[]>`select * from products where product_id = ${productId}`;
  return row && productFrom(row);
}

export async function findProductBySku(sql: Sql, sku: string): Promise<Shelved | undefined> {
  const [row] = await sql<ProductRow[]>`select * from products where sku = ${sku}`;
  return row && productFrom(row);
}

export async function lockProduct(sql: Sql, productId: string): Promise<Shelved | undefined> {
  const [row] = await sql<ProductRow[]>`select * from products where product_id = ${productId} for update`;
  return row && productFrom(row);
}

/** Products as they are kept, locked in the order of their ids. */
export async function lockProducts(sql: Sql, productIds: string[]): Promise<Map<string, Product>> {
  const rows = await sql<ProductRow[]>`
    select * from products where product_id = any(${productIds}) order by product_id for update`;
  return new Map(
    rows.map((row) => {
      const { available: _, ...product } = productFrom(row);
      return [product.productId, product];
    }),
  );
}

/** All that is kept of products, row or event, in the order of their ids. */
export async function findProductIds(sql: Sql, after: string | null, rowsMax: number): Promise<string[]> {
  const behind = after === null ? sql`` : sql`where product_id > ${after}`;
  const rows = await sql<{ product_id: string }[]>`
    (select product_id from products ${behind} order by product_id limit ${rowsMax}) union
    (select product_id from product_events ${behind} ${after === null ? sql`where` : sql`and`} version = 1 order by product_id limit ${rowsMax})
    order by product_id limit ${rowsMax}`;
  return rows.map(({ product_id }) => product_id);
}

/** Takes the stream's word for a product. Stock's stays; of a row that is new it is asked for (`stock_version` -1). */
export async function putProduct(sql: Sql, product: Product): Promise<void> {
  const { productId, sku, name, description, currencyCode, priceMinorUnits, collections, prepared, archived } = product;
  await sql`
    insert into products (product_id, sku, name, description, currency_code, price_minor_units, collections, prepared, archived, version, created_at, updated_at, stock_version)
    values (${productId}, ${sku}, ${name}, ${description}, ${currencyCode}, ${priceMinorUnits}, ${collections}, ${prepared}, ${archived},
      ${product.version}, ${product.createdAt}, ${product.updatedAt}, -1)
    on conflict (product_id) do update set sku = excluded.sku, name = excluded.name, description = excluded.description,
      currency_code = excluded.currency_code, price_minor_units = excluded.price_minor_units, collections = excluded.collections,
      prepared = excluded.prepared, archived = excluded.archived, version = excluded.version,
      created_at = excluded.created_at, updated_at = excluded.updated_at`;
}

export async function findUnknownToStock(sql: Sql, productIds: string[]): Promise<string[]> {
  const rows = await sql<{ product_id: string }[]>`
    select product_id from products where product_id = any(${productIds}) and stock_version < 0`;
  return rows.map(({ product_id }) => product_id);
}

/** Products on the shelf after the one named, in the order of the collection's menu, then by id. */
export async function findOnShelf(sql: Sql, shelf: Shelf, after: string | null, rowsMax: number): Promise<Shelved[]> {
  const { collection, priceMin, priceMax } = shelf;
  // One form for what looks alike, such as an accent apart from its letter.
  const patterns = shelf.words.map((word) => `%${word.normalize("NFKC").replace(/[\\%_]/g, "\\$&")}%`);
  // Of a menu's products those that it names come first, in its order.
  const menu = sql`(select product_ids from menus where collection = ${collection} and not removed)`;
  const order =
    collection === "" ? sql`product_id` : sql`coalesce(array_position(${menu}, product_id), 2147483647), product_id`;
  const last =
    collection === ""
      ? sql`${after}::uuid`
      : sql`coalesce(array_position(${menu}, ${after}::uuid), 2147483647), ${after}::uuid`;
  const rows = await sql<ProductRow[]>`
    select * from products where not archived
      ${after === null ? sql`` : sql`and (${order}) > (${last})`}
      ${patterns.length === 0 ? sql`` : sql`and normalize(concat_ws(' ', name, sku, description), nfkc) ilike all(${patterns})`}
      ${collection === "" ? sql`` : sql`and collections @> ${[collection]}`}
      ${priceMin === undefined ? sql`` : sql`and price_minor_units >= ${priceMin}`}
      ${priceMax === undefined ? sql`` : sql`and price_minor_units <= ${priceMax}`}
    order by ${order} limit ${rowsMax}`;
  return rows.map(productFrom);
}

export async function findEvents(sql: Sql, productId: string): Promise<ProductEvent[]> {
  return (await findEventsOf(sql, [productId])).get(productId) ?? [];
}

/** The streams of several products. */
export async function findEventsOf(sql: Sql, productIds: string[]): Promise<Map<string, ProductEvent[]>> {
  const rows = await sql<EventRow[]>`
    select * from product_events where product_id = any(${productIds}) order by product_id, version`;
  const events = rows.map(({ product_id, trace_id, ...rest }) => ({
    ...rest,
    productId: product_id,
    traceId: trace_id,
  }));
  return Map.groupBy(events, ({ productId }) => productId);
}

const AVAILABLE = table("products", { product_id: "uuid", available: "integer", version: "bigint" });

/** Takes stock's word where it is newer than what is kept. The rows are locked in key order, as others lock them. */
export async function saveAvailable(
  sql: Sql,
  rows: { product_id: string; available: number; version: bigint }[],
): Promise<void> {
  await sql`
    with said as (
      select * from ${rowsOf(sql, AVAILABLE, rows)} as heard
    ), locked as materialized (
      select product_id from products where product_id in (select product_id from said) order by product_id for update
    )
    update products p set available = said.available, stock_version = said.version
    from said join locked using (product_id)
    where p.product_id = said.product_id and p.stock_version < said.version`;
}

interface ProductRow {
  product_id: string;
  sku: string;
  name: string;
  description: string;
  currency_code: string;
  price_minor_units: bigint;
  collections: string[];
  prepared: boolean;
  archived: boolean;
  version: bigint;
  created_at: Date;
  updated_at: Date;
  available: number;
}

/** `changes` has the shape insertEvent wrote. */
interface EventRow {
  product_id: string;
  version: bigint;
  type: ProductEvent["type"];
  changes: Changes;
  actor: string;
  trace_id: string;
  at: Date;
}

function productFrom(row: ProductRow): Shelved {
  const { sku, name, description, collections, prepared, archived, version, available } = row;
  return {
    productId: row.product_id,
    sku,
    name,
    description,
    currencyCode: row.currency_code,
    priceMinorUnits: row.price_minor_units,
    collections,
    prepared,
    archived,
    version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    available,
  };
}
