import type { Sql } from "../../packages/database/database.ts";
import type { Tx } from "../../packages/service/app.ts";
import type { SaleHours } from "../../packages/service/sale-hours.ts";
import type { CatalogueEntry } from "./order.ts";

// This service's copy of the catalogue: reference data, the same in every bucket.

export async function findCatalogue(sql: Sql, productIds: string[]): Promise<CatalogueEntry[]> {
  const rows = await sql<CatalogueRow[]>`
    select c.*, coalesce((
      select json_agg(json_build_object('title', m.title, 'timeZone', m.time_zone, 'windows', m.windows)) from menus m
      where m.collection = any(c.collections) and not m.removed), '[]') as menus
    from catalogue c where product_id = any(${productIds}) and collections is not null`;
  return rows.map((row) => ({
    productId: row.product_id,
    name: row.name,
    currencyCode: row.currency_code,
    priceMinorUnits: row.price_minor_units,
    prepared: row.prepared,
    archived: row.archived,
    menus: row.menus,
  }));
}

interface CatalogueRow {
  product_id: string;
  name: string;
  currency_code: string;
  price_minor_units: bigint;
  prepared: boolean;
  archived: boolean;
  /** As putMenu wrote them. */
  menus: SaleHours[];
}

/** A product as its owner tells of it. */
export type Known = Omit<CatalogueEntry, "menus"> & { collections: string[]; version: bigint };

/** Takes a product's newer version; an older one changes nothing, unless the collections were not kept yet when that came. */
export async function putProduct({ sql }: Pick<Tx, "sql">, entry: Known): Promise<void> {
  await sql`
    insert into catalogue (product_id, name, currency_code, price_minor_units, prepared, archived, collections, version)
    values (${entry.productId}, ${entry.name}, ${entry.currencyCode}, ${entry.priceMinorUnits}, ${entry.prepared}, ${entry.archived}, ${entry.collections}, ${entry.version})
    on conflict (product_id) do update set name = excluded.name, currency_code = excluded.currency_code, price_minor_units = excluded.price_minor_units,
      prepared = excluded.prepared, archived = excluded.archived, collections = excluded.collections, version = excluded.version
    where catalogue.version < excluded.version or catalogue.collections is null`;
}

export async function archiveProduct({ sql }: Pick<Tx, "sql">, productId: string, version: bigint): Promise<boolean> {
  const rows =
    await sql`update catalogue set archived = true, version = ${version} where product_id = ${productId} and version < ${version} returning product_id`;
  if (rows.length > 0) return true;
  const [known] = await sql`select from catalogue where product_id = ${productId}`;
  return known !== undefined;
}

export type KnownMenu = SaleHours & { collection: string; removed: boolean; version: bigint };

/** Takes a menu's newer version; an older one changes nothing. */
export async function putMenu({ sql }: Pick<Tx, "sql">, menu: KnownMenu): Promise<void> {
  const { collection, title, timeZone, windows, removed, version } = menu;
  await sql`
    insert into menus (collection, title, time_zone, windows, removed, version)
    values (${collection}, ${title}, ${timeZone}, ${JSON.stringify(windows)}::text::jsonb, ${removed}, ${version})
    on conflict (collection) do update set title = excluded.title, time_zone = excluded.time_zone, windows = excluded.windows,
      removed = excluded.removed, version = excluded.version
    where menus.version < excluded.version`;
}
