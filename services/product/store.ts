import type { Sql } from "../../packages/database/database.ts";
import type { Recording } from "../../packages/database/story.ts";
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

export function insertEvent(tx: Recording, event: ProductEvent): void {
  const { productId, version, type, changes, actor, traceId, at } = event;
  tx.insert("product_events", { product_id: productId, version, type, changes, actor, trace_id: traceId, at });
}

export async function findProduct(sql: Sql, productId: string): Promise<Shelved | undefined> {
  const [row] = await sql<ProductRow[]>`select * from products where product_id = ${productId}`;
  return row && toProduct(row);
}

export async function lockProduct(sql: Sql, productId: string): Promise<Shelved | undefined> {
  const [row] = await sql<ProductRow[]>`select * from products where product_id = ${productId} for update`;
  return row && toProduct(row);
}

/** Products on the shelf after the one named, by id. */
export async function findOnShelf(sql: Sql, shelf: Shelf, after: string | null, rowsMax: number): Promise<Shelved[]> {
  const { collection, priceMin, priceMax } = shelf;
  const patterns = shelf.words.map((word) => `%${word.replace(/[\\%_]/g, "\\$&")}%`);
  const rows = await sql<ProductRow[]>`
    select * from products where not archived
      ${after === null ? sql`` : sql`and product_id > ${after}`}
      ${patterns.length === 0 ? sql`` : sql`and concat_ws(' ', name, sku, description) ilike all(${patterns})`}
      ${collection === "" ? sql`` : sql`and collections @> ${[collection]}`}
      ${priceMin === undefined ? sql`` : sql`and price_minor_units >= ${priceMin}`}
      ${priceMax === undefined ? sql`` : sql`and price_minor_units <= ${priceMax}`}
    order by product_id limit ${rowsMax}`;
  return rows.map(toProduct);
}

export async function findEvents(sql: Sql, productId: string): Promise<ProductEvent[]> {
  const rows = await sql<EventRow[]>`select * from product_events where product_id = ${productId} order by version`;
  return rows.map(({ product_id, trace_id, ...rest }) => ({ ...rest, productId: product_id, traceId: trace_id }));
}

/** Takes stock's word where it is newer than what is kept. */
export async function saveAvailable(
  sql: Sql,
  rows: { product_id: string; available: number; version: string }[],
): Promise<void> {
  await sql`
    update products p set available = said.available, stock_version = said.version
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as said(product_id uuid, available int, version bigint)
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

function toProduct(row: ProductRow): Shelved {
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
