import { Code, ConnectError } from "@connectrpc/connect";
import type { ProductArchived, ProductCreated, ProductUpdated } from "../../packages/api/facts.ts";
import { ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Body } from "../../packages/api/messages.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { notFound } from "../../packages/service/errors.ts";
import type { CatalogueEntry } from "./order.ts";
import { archiveProduct, findCatalogue, putProduct } from "./store.ts";

const FRESH_MS = 500;
const CACHED_PRODUCTS_MAX = 10_000;

const cached = new WeakMap<App, Map<string, { entry: CatalogueEntry; readAt: number }>>();

/**
 * The products of an order, from this service's own copy of the catalogue. A product that is too new for the copy is asked for at its owner.
 * Entries are read again after half a second, no longer than facts take anyway.
 */
export async function catalogue(app: App, productIds: string[]): Promise<Map<string, CatalogueEntry>> {
  const cache = cached.get(app) ?? new Map<string, { entry: CatalogueEntry; readAt: number }>();
  cached.set(app, cache);
  const now = app.clock.now().getTime();
  const found = new Map<string, CatalogueEntry>();
  for (const id of productIds) {
    const hit = cache.get(id);
    if (hit && now - hit.readAt < FRESH_MS) found.set(id, hit.entry);
  }
  const missing = [...new Set(productIds.filter((id) => !found.has(id)))];
  if (missing.length === 0) return found;
  if (cache.size > CACHED_PRODUCTS_MAX) cache.clear();
  for (const entry of await read(app, missing)) {
    found.set(entry.productId, entry);
    cache.set(entry.productId, { entry, readAt: now });
  }
  return found;
}

async function read(app: App, ids: string[]): Promise<CatalogueEntry[]> {
  const known = await findCatalogue(app.sql, ids);
  const unknown = ids.filter((id) => !known.some((entry) => entry.productId === id));
  const asked = await Promise.all(unknown.map((id) => askOwner(app, id)));
  return [...known, ...asked.filter((entry) => entry !== null)];
}

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
  const { name, prepared, archived } = product;
  const entry = {
    productId,
    name,
    currencyCode: product.price.currencyCode,
    priceMinorUnits: product.price.minorUnits,
    prepared,
    archived,
  };
  await app.transact((tx) => putProduct(tx, entry, product.version));
  return entry;
}

export async function onProductChanged(
  app: App,
  tx: Tx,
  body: Body<typeof ProductCreated> | Body<typeof ProductUpdated>,
): Promise<void> {
  const { productId, name, price, prepared, version } = body;
  if (!price) throw new Error(`product ${productId} version ${version} has no price`);
  await putProduct(
    tx,
    { productId, name, currencyCode: price.currencyCode, priceMinorUnits: price.minorUnits, prepared, archived: false },
    version,
  );
  cached.get(app)?.delete(productId);
}

export async function onProductArchived(
  app: App,
  tx: Tx,
  { productId, version }: Body<typeof ProductArchived>,
): Promise<void> {
  if (!(await archiveProduct(tx, productId, version))) throw notFound("product", productId);
  cached.get(app)?.delete(productId);
}
