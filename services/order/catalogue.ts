import { Code, ConnectError } from "@connectrpc/connect";
import type {
  MenuChanged,
  ProductArchived,
  ProductCreated,
  ProductUnarchived,
  ProductUpdated,
} from "../../packages/api/gen/bodega/product/v1/events_pb.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { gather, gatherPer } from "../../packages/database/gather.ts";
import type { App } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { Message } from "../../packages/service/service.ts";
import { archiveProduct, findCatalogue, putMenu, putProduct } from "./catalogue-store.ts";
import type { CatalogueEntry } from "./order.ts";

const FRESH_MS = 500;
const CACHED_PRODUCTS_MAX = 10_000;
const READ_AT_ONCE_MAX = 500;

interface Cached {
  entry: CatalogueEntry;
  readAt: number;
}

const caches = new WeakMap<App, Map<string, Cached>>();

/**
 * The products of an order, from this service's own copy of the catalogue. A product that is too new for the copy is asked for at its owner.
 * Entries are read again after half a second, no longer than facts take anyway.
 */
export async function catalogue(app: App, productIds: string[]): Promise<Map<string, CatalogueEntry>> {
  const ids = [...new Set(productIds)];
  const now = app.clock.now().getTime();
  const entries = await Promise.all(
    ids.map((id) => fresh(app, id, now) ?? read(app, id).then((found) => found ?? askOwner(app, id))),
  );
  return new Map(entries.flatMap((entry) => (entry ? [[entry.productId, entry]] : [])));
}

function cacheOf(app: App): Map<string, Cached> {
  const cache = caches.get(app) ?? new Map<string, Cached>();
  caches.set(app, cache);
  return cache;
}

function fresh(app: App, productId: string, now: number): CatalogueEntry | undefined {
  const hit = cacheOf(app).get(productId);
  return hit && now - hit.readAt < FRESH_MS ? hit.entry : undefined;
}

/** All that orders miss at one moment is one statement, and what others will miss soon comes along. */
const read = gatherPer((app: App) =>
  gather(
    async (productIds: string[]) => {
      const cache = cacheOf(app);
      const now = app.clock.now().getTime();
      const missing = new Set(productIds.filter((id) => !fresh(app, id, now)));
      if (missing.size > 0) {
        if (cache.size > CACHED_PRODUCTS_MAX) cache.clear();
        for (const [id, { readAt }] of cache) if (now - readAt >= FRESH_MS / 2) missing.add(id);
        for (const entry of await findCatalogue(app.sql, [...missing].slice(0, READ_AT_ONCE_MAX)))
          cache.set(entry.productId, { entry, readAt: now });
      }
      return productIds.map((id) => fresh(app, id, now) ?? null);
    },
    { itemsMax: READ_AT_ONCE_MAX, atOnce: 1 },
  ),
);

async function askOwner(app: App, productId: string): Promise<CatalogueEntry | null> {
  const reply = await app
    .call(ProductService)
    .getProduct({ productId })
    .catch((error: unknown) => {
      if (ConnectError.from(error).code === Code.NotFound) return null;
      throw error;
    });
  const product = reply?.product;
  if (!product?.price) return null;
  const { name, prepared, archived, collections, version } = product;
  const { currencyCode, minorUnits: priceMinorUnits } = product.price;
  await app.transact((tx) =>
    putProduct(tx, { productId, name, currencyCode, priceMinorUnits, prepared, archived, collections, version }),
  );
  const [entry] = await findCatalogue(app.sql, [productId]);
  return entry ?? null;
}

export async function onProductChanged(
  app: App,
  { body, tx }: Message<ProductCreated | ProductUpdated | ProductUnarchived>,
): Promise<void> {
  const { productId, name, price, prepared, collections, version } = body;
  if (!price) throw new Error(`product ${productId} version ${version} has no price`);
  const { currencyCode, minorUnits: priceMinorUnits } = price;
  const known = { productId, name, currencyCode, priceMinorUnits, prepared, archived: false, collections, version };
  await putProduct(tx, known);
  caches.get(app)?.delete(productId);
}

export async function onProductArchived(app: App, { body, tx }: Message<ProductArchived>): Promise<void> {
  const { productId, version } = body;
  if (!(await archiveProduct(tx, productId, version))) throw notFound("product", productId);
  caches.get(app)?.delete(productId);
}

export async function onMenuChanged(app: App, { body, tx }: Message<MenuChanged>): Promise<void> {
  const { collection, title, timeZone, removed, version } = body;
  const windows = body.windows.map(({ days, opens, closes, fromDate, untilDate }) => {
    return { days, opens, closes, fromDate, untilDate };
  });
  await putMenu(tx, { collection, title, timeZone, windows, removed, version });
  caches.get(app)?.clear();
}
