// Names where ids are wanted, as long as one thing is meant.
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { type Product, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { Exit } from "./exit.ts";
import { Problem } from "./problem.ts";
import type { Shop } from "./shop.ts";

const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i;
const PAGE_SIZE = 100;
/** A hundred thousand of anything: who has more gives ids. */
const PAGES_MAX = 1_000;

/** All of a list, page by page. */
export async function all<P extends { nextPageToken: string }, T>(
  ask: (page: { pageSize: number; pageToken: string }) => Promise<P>,
  listOf: (page: P) => T[],
): Promise<T[]> {
  const found: T[] = [];
  let pageToken = "";
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = await ask({ pageSize: PAGE_SIZE, pageToken });
    found.push(...listOf(page));
    pageToken = page.nextPageToken;
    if (!pageToken) return found;
  }
  throw new Problem(Exit.REFUSED, `the list is longer than ${PAGES_MAX * PAGE_SIZE}`, "ask for a part of it");
}

/** By id, address or name. */
export async function userIdOf(shop: Shop, user: string): Promise<string> {
  if (UUID.test(user)) return user;
  const wanted = user.toLowerCase();
  const users = await all(
    (page) => shop.call(AuthService).listUsers(page),
    (page) => page.users,
  );
  const addressed = users.filter(({ email }) => email === wanted);
  const named = users.filter(({ displayName }) => displayName.toLowerCase() === wanted);
  const meant = addressed.length > 0 ? addressed : named;
  return theOne("user", user, meant, ({ email }) => email, "see who there is: bodega users list").userId;
}

/** By id, SKU, name, or words that only one product has. */
export async function productOf(shop: Shop, product: string): Promise<Product> {
  if (UUID.test(product)) {
    const { product: found } = await shop.call(ProductService).getProduct({ productId: product });
    return theOne("product", product, found ? [found] : [], ({ sku }) => sku, "");
  }
  const { products } = await shop.call(ProductService).listProducts({ query: product, pageSize: PAGE_SIZE });
  const wanted = product.toLowerCase();
  const exact = [
    products.filter(({ sku }) => sku.toLowerCase() === wanted),
    products.filter(({ name }) => name.toLowerCase() === wanted),
  ].find((found) => found.length > 0);
  return theOne("product", product, exact ?? products, ({ sku }) => sku, "see what there is: bodega products list");
}

const SHOWN_MAX = 5;

function theOne<T>(kind: string, wanted: string, found: T[], nameOf: (thing: T) => string, next: string): T {
  const [one, ...others] = found;
  if (one && others.length === 0) return one;
  if (!one) throw new Problem(Exit.NOT_FOUND, `there is no ${kind} ${wanted}`, next);
  const names = found.slice(0, SHOWN_MAX).map(nameOf).join(", ");
  throw new Problem(
    Exit.USAGE,
    `${kind}: ${wanted} may be ${names}${found.length > SHOWN_MAX ? ", …" : ""}`,
    "say which of them, by its id if need be",
  );
}
