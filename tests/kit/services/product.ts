// The product service alone.
import type { Client } from "@connectrpc/connect";
import { type Product, ProductService } from "../../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { type System, startSystem } from "../system.ts";

export interface ProductSystem extends System {
  asAdmin: Client<typeof ProductService>;
  anyone: Client<typeof ProductService>;
  make(
    fields?: Partial<{ sku: string; name: string; description: string; collections: string[]; cents: bigint }>,
  ): Promise<Product>;
}

export async function startProduct(): Promise<ProductSystem> {
  const system = await startSystem({ services: ["product"] });
  const asAdmin = system.as("admin", ProductService);
  let made = 0;
  return {
    ...system,
    asAdmin,
    anyone: system.as("anonymous", ProductService),
    async make({ sku = `SKU-${made++}`, name = "Mug", description = "", collections = [], cents = 500n } = {}) {
      const asked = { requestId: sku, sku, name, description, collections, price: euros(cents), initialStock: 5 };
      const { product } = await asAdmin.createProduct(asked);
      if (!product) throw new Error("no product came back");
      return product;
    },
  };
}

export const euros = (minorUnits: bigint) => ({ currencyCode: "EUR", minorUnits });
