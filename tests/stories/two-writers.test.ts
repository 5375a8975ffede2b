// Optimistic locking where writers meet: each reads, changes what it read, and writes with the version it saw. Who comes too late reads again, so often and no
// more. docs/idempotency.md tells clients how.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { type Product, ProductService } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { reasonOf } from "../../packages/service/errors.ts";
import { backoffMs } from "../../packages/time/backoff.ts";
import { addProduct } from "../kit/customers.ts";
import { refusal } from "../kit/refusal.ts";
import { type System, startSystem } from "../kit/system.ts";

setDefaultTimeout(60_000);
const PACE = { firstMs: 2, mostMs: 40 };
const WRITERS = 6;
const WORDS_EACH = 5;

let system: System;
let admin: Client<typeof ProductService>;
beforeAll(async () => {
  system = await startSystem({ services: ["product"] });
  admin = system.as("admin", ProductService);
});
afterAll(() => system.close());

interface Written {
  product: Product | undefined;
  tries: number;
}

/** What a client does: reads, decides anew by what it has read, writes; when that was stale, pauses by chance and begins again, `triesMax` times in all. */
async function update(
  productId: string,
  change: (product: Product) => { description: string } | Promise<{ description: string }>,
  triesMax: number,
  between: (tries: number) => Promise<void> = (tries) => Bun.sleep(backoffMs(tries, PACE)),
): Promise<Written> {
  for (let tries = 1; ; tries += 1) {
    const { product } = await admin.getProduct({ productId });
    if (!product) throw new Error(`there is no product ${productId}`);
    try {
      const written = await admin.updateProduct({
        productId,
        expectedVersion: product.version,
        ...(await change(product)),
      });
      return { product: written.product, tries };
    } catch (error) {
      if (reasonOf(ConnectError.from(error)) !== "STALE_VERSION" || tries === triesMax) throw error;
      await between(tries);
    }
  }
}

const adds = (word: string) => (product: Product) => ({ description: `${product.description} ${word}`.trim() });

test("of many writers' changes to one product each lands once, and none is written over", async () => {
  const productId = await addProduct(system, { sku: "met" });
  const words = Array.from({ length: WRITERS }, (_, writer) =>
    Array.from({ length: WORDS_EACH }, (_, n) => `w${writer}n${n}`),
  );
  const writers = words.map(async (own) => {
    const written: Written[] = [];
    for (const word of own) written.push(await update(productId, adds(word), WRITERS * WORDS_EACH + 1));
    return written;
  });
  const written = (await Promise.all(writers)).flat();
  const { product } = await admin.getProduct({ productId });
  expect(product?.description.split(" ").toSorted()).toEqual(words.flat().toSorted());
  expect(product?.version).toBe(BigInt(1 + WRITERS * WORDS_EACH));
  expect(new Set(written.map((each) => each.product?.version)).size).toBe(WRITERS * WORDS_EACH);
  // They did meet: otherwise nothing was tried.
  expect(written.some(({ tries }) => tries > 1)).toBe(true);
  const { events } = await admin.getProductHistory({ productId });
  expect(events.map(({ version }) => version)).toEqual(events.map((_, n) => BigInt(n + 1)));
});

test("who is overtaken every time is refused after so many tries, and has changed nothing", async () => {
  const productId = await addProduct(system, { sku: "contended" });
  const pauses: number[] = [];
  const overtaken = update(
    productId,
    async (product) => {
      await admin.updateProduct({ productId, expectedVersion: product.version, ...adds("faster")(product) });
      return adds("late")(product);
    },
    3,
    async (tries) => void pauses.push(tries),
  );
  expect(await refusal(overtaken)).toMatchObject({ code: Code.Aborted, reason: "STALE_VERSION" });
  expect(pauses).toEqual([1, 2]);
  const { product } = await admin.getProduct({ productId });
  expect(product).toMatchObject({ description: "faster faster faster", version: 4n });
});

test("a writer that takes the new version and keeps its old text writes over the other: the first test would notice", async () => {
  const productId = await addProduct(system, { sku: "careless" });
  const { product: read } = await admin.getProduct({ productId });
  if (!read) throw new Error("there is no product");
  await update(productId, adds("careful"), 1);
  const { product: now } = await admin.getProduct({ productId });
  await admin.updateProduct({ productId, expectedVersion: now?.version ?? 0n, ...adds("careless")(read) });
  expect((await admin.getProduct({ productId })).product?.description).toBe("careless");
});
