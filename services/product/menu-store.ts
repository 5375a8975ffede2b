import type { Sql } from "../../packages/database/database.ts";
import type { SaleWindow } from "../../packages/service/sale-hours.ts";
import type { Menu } from "./menu.ts";

export async function findMenu(sql: Sql, collection: string): Promise<Menu | undefined> {
  const [row] = await sql<MenuRow[]>`select * from menus where collection = ${collection}`;
  return row && menuFrom(row);
}

/** The menus among collections. */
export async function findMenusOf(sql: Sql, collections: string[]): Promise<Menu[]> {
  const rows = await sql<MenuRow[]>`select * from menus where collection = any(${collections}) and not removed`;
  return rows.map(menuFrom);
}

export async function findMenus(sql: Sql, after: string, rowsMax: number): Promise<Menu[]> {
  const rows = await sql<MenuRow[]>`
    select * from menus where not removed and collection > ${after} order by collection limit ${rowsMax}`;
  return rows.map(menuFrom);
}

/** The winner of two changes is who finds the version it expects; false for the other. */
export async function saveMenu(sql: Sql, menu: Menu): Promise<boolean> {
  const { collection, title, timeZone, windows, productIds, removed, version, updatedAt } = menu;
  const rows = await sql`
    insert into menus (collection, title, time_zone, windows, product_ids, removed, version, updated_at)
    select ${collection}, ${title}, ${timeZone}, ${JSON.stringify(windows)}::text::jsonb, ${productIds}::uuid[], ${removed}, ${version}, ${updatedAt}
    where ${version} = 1 or exists (select from menus where collection = ${collection})
    on conflict (collection) do update set title = excluded.title, time_zone = excluded.time_zone, windows = excluded.windows,
      product_ids = excluded.product_ids, removed = excluded.removed, version = excluded.version, updated_at = excluded.updated_at
    where menus.version = excluded.version - 1 returning collection`;
  return rows.length === 1;
}

/** Which of these are no products. */
export async function findMissing(sql: Sql, productIds: string[]): Promise<string[]> {
  const rows = await sql<{ product_id: string }[]>`
    select asked.product_id from unnest(${productIds}::uuid[]) as asked(product_id)
    where not exists (select from products p where p.product_id = asked.product_id)`;
  return rows.map(({ product_id }) => product_id);
}

interface MenuRow {
  collection: string;
  title: string;
  time_zone: string;
  /** As saveMenu wrote them. */
  windows: SaleWindow[];
  product_ids: string[];
  removed: boolean;
  version: bigint;
  updated_at: Date;
}

function menuFrom(row: MenuRow): Menu {
  return {
    collection: row.collection,
    title: row.title,
    timeZone: row.time_zone,
    windows: row.windows,
    productIds: row.product_ids,
    removed: row.removed,
    version: row.version,
    updatedAt: row.updated_at,
  };
}
