import { create } from "@bufbuild/protobuf";
import {
  CreateProductResponseSchema,
  GetProductHistoryResponseSchema,
  ListProductsResponseSchema,
  type Product,
  ProductService,
} from "../../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Group } from "../command-line.ts";
import { all, productOf } from "../names.ts";
import type { Shop } from "../shop.ts";
import { amountOf, wholeNumber } from "../values.ts";
import { money, time } from "../words.ts";
import { importProducts } from "./import.ts";

export const products: Group = (program, at) => {
  const group = program.command("products").description("The catalogue");

  group
    .command("create")
    .description("Put a new product on the shelf")
    .argument("<sku>", "the shop's own name for it, given once")
    .argument("<price>", "of one, such as 4.50 or 4.50USD")
    .option("--name <name>", "as customers see it; else the SKU")
    .option("--description <text>", "what it is", "")
    .option("--stock <units>", "on hand at the start", "0")
    .option("--collection <name...>", "what it belongs to, such as a menu")
    .option("--prepared", "the kitchen makes it")
    .option("--request-id <key>", "under one key it is made once")
    .action(async (sku, price, options) => {
      const shop = at();
      const reply = await shop.call(ProductService).createProduct({
        requestId: options.requestId ?? crypto.randomUUID(),
        sku,
        name: options.name ?? sku,
        description: options.description,
        price: amountOf("price", price),
        collections: options.collection ?? [],
        prepared: options.prepared ?? false,
        initialStock: Number(wholeNumber("stock", options.stock, { min: 0n, max: 1_000_000_000n })),
      });
      shop.show(CreateProductResponseSchema, reply, ({ product }) =>
        shop.say(`${product?.sku} is on the shelf for ${money(product?.price)}: ${product?.productId}`),
      );
    });

  importProducts(group, at);

  group
    .command("list")
    .description("What is on the shelf")
    .argument("[words...]", "each in the name, the SKU or the description")
    .option("--collection <name>", "of this collection alone", "")
    .action(async (words, { collection }) => {
      const shop = at();
      const found = await all(
        (page) => shop.call(ProductService).listProducts({ query: words.join(" "), collection, ...page }),
        (page) => page.products,
      );
      shop.show(ListProductsResponseSchema, create(ListProductsResponseSchema, { products: found }), () =>
        productTable(shop, found),
      );
    });

  group
    .command("history")
    .description("Every change of a product, and who made it")
    .argument("<product>", "id, SKU or name")
    .action(async (product) => {
      const shop = at();
      const { productId } = await productOf(shop, product);
      const reply = await shop.call(ProductService).getProductHistory({ productId });
      shop.show(GetProductHistoryResponseSchema, reply, ({ events }) =>
        shop.terminal.table(
          ["VERSION", "AT", "WHAT", "CHANGES", "BY"],
          events.map(({ version, at, type, changes, actor }) => [version, time(at), type, changes, actor]),
        ),
      );
    });
};

export function productTable({ terminal }: Pick<Shop, "terminal">, found: Product[]): void {
  terminal.table(
    ["SKU", "NAME", "PRICE", "AVAILABLE", "COLLECTIONS", "PRODUCT"],
    found.map((each) => [
      each.sku,
      each.name,
      money(each.price),
      each.available,
      each.collections.join(", "),
      each.productId,
    ]),
  );
}
