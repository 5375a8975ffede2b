import {
  AdjustStockResponseSchema,
  GetStockResponseSchema,
  ReconcileResponseSchema,
  type Stock,
  StockService,
} from "../../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { productOf } from "../names.ts";
import type { Shop } from "../shop.ts";
import { wholeNumber } from "../values.ts";

const UNITS = { min: -1_000_000_000n, max: 1_000_000_000n };

export const stock: Group = (program, at) => {
  const group = program.command("stock").description("What is there, and whether the books agree");

  group
    .command("show")
    .description("What is there of a product, and what of it is promised")
    .argument("<product>", "id, SKU or name")
    .action(async (product) => {
      const shop = at();
      const { productId, sku } = await productOf(shop, product);
      shop.show(GetStockResponseSchema, await shop.call(StockService).getStock({ productId }), (reply) =>
        stockTable(shop, sku, reply.stock),
      );
    });

  group
    .command("adjust")
    .description("Add units, or remove some: bodega stock adjust PRODUCT --reason spoilt -- -5")
    .argument("<product>", "id, SKU or name")
    .argument("<delta>", "how many more; less than 0 removes them")
    .requiredOption("--reason <text>", "kept in the ledger")
    .option("--request-id <key>", "under one key it happens once")
    .action(async (product, text, { reason, requestId = crypto.randomUUID() }) => {
      const shop = at();
      const delta = Number(wholeNumber("delta", text, UNITS));
      const { productId, sku } = await productOf(shop, product);
      const reply = await shop.call(StockService).adjustStock({ requestId, productId, delta, reason });
      shop.show(AdjustStockResponseSchema, reply, (adjusted) => stockTable(shop, sku, adjusted.stock));
    });

  group
    .command("reconcile")
    .description("Compare the ledger with the columns; ends with 7 when they differ")
    .action(async () => {
      const shop = at();
      const reply = await shop.call(StockService).reconcile({});
      shop.show(ReconcileResponseSchema, reply, ({ differences, productsChecked }) => {
        if (differences.length === 0) return shop.say(`The books of ${productsChecked} products agree.`);
        return shop.terminal.table(
          ["PRODUCT", "COLUMN", "IS", "LEDGER SAYS"],
          differences.map((each) => [each.productId, each.column, each.columnValue, each.ledgerValue]),
        );
      });
      if (reply.differences.length > 0) shop.endWith(Exit.NOT_IN_ORDER);
    });
};

function stockTable({ terminal }: Shop, sku: string, found: Stock | undefined): void {
  if (found)
    terminal.table(["SKU", "ON HAND", "RESERVED", "AVAILABLE"], [[sku, found.onHand, found.reserved, found.available]]);
}
