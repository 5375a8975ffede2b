import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ProductSchema } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Money } from "../../packages/api/gen/bodega/type/v1/money_pb.ts";
import { isCurrency } from "../../packages/api/money.ts";
import { invalidField } from "../../packages/service/errors.ts";
import type { saleAt } from "../../packages/service/sale-hours.ts";

/** A product as its events add up. What can be sold of it is stock's to say and is kept beside it. */
export interface Product {
  productId: string;
  sku: string;
  name: string;
  description: string;
  currencyCode: string;
  priceMinorUnits: bigint;
  collections: string[];
  prepared: boolean;
  archived: boolean;
  version: bigint;
  createdAt: Date;
  updatedAt: Date;
}

/** What a new product is told to be. */
export interface Draft {
  sku: string;
  name: string;
  description: string;
  price: Pick<Money, "currencyCode" | "minorUnits">;
  collections: string[];
  prepared: boolean;
  initialStock: number;
}

export interface ProductEvent {
  productId: string;
  version: bigint;
  type: "product.created" | "product.updated" | "product.archived" | "product.unarchived";
  changes: Changes;
  actor: string;
  traceId: string;
  at: Date;
}

/** The fields an event set, as protobuf's JSON mapping writes them; what it left alone is absent. */
export interface Changes {
  sku?: string;
  name?: string;
  description?: string;
  price?: { currencyCode: string; minorUnits: string };
  collections?: string[];
  prepared?: boolean;
  /** Told to stock once; no part of the product. */
  initialStock?: number;
}

/** What an event is, before it is known whose and who did it. */
export type Happening = Pick<ProductEvent, "productId" | "version" | "type" | "changes" | "at">;

/** The product that a stream of events, oldest first, adds up to; undefined when there are none. */
export function fold(events: Happening[]): Product | undefined {
  let product: Product | undefined;
  for (const event of events) product = apply(product, event);
  return product;
}

export function apply(product: Product | undefined, { productId, version, type, changes, at }: Happening): Product {
  if (version !== (product?.version ?? 0n) + 1n) {
    throw new Error(`product ${productId}: expected version ${(product?.version ?? 0n) + 1n}, found ${version}`);
  }
  const base = product ?? blank(productId, at);
  return {
    ...base,
    sku: changes.sku ?? base.sku,
    name: changes.name ?? base.name,
    description: changes.description ?? base.description,
    currencyCode: changes.price?.currencyCode ?? base.currencyCode,
    priceMinorUnits: changes.price ? BigInt(changes.price.minorUnits) : base.priceMinorUnits,
    collections: changes.collections ?? base.collections,
    prepared: changes.prepared ?? base.prepared,
    archived: type === "product.archived" || (base.archived && type !== "product.unarchived"),
    version,
    updatedAt: at,
  };
}

/** The event that follows on `product`, no earlier than the last one: a clock that steps back must not reorder history. */
export function next(product: Product, type: Happening["type"], changes: Changes, now: Date): Happening {
  const at = now > product.updatedAt ? now : product.updatedAt;
  return { productId: product.productId, version: product.version + 1n, type, changes, at };
}

export function changesOf({ price, ...rest }: Draft): Changes {
  return { ...rest, price: moneyJson(price) };
}

/** A code that nobody knows has no minor unit: nobody could say what it costs. */
export function refuseUnknownCurrency({ currencyCode }: Draft["price"]): void {
  if (isCurrency(currencyCode)) return;
  throw invalidField("price.currency_code", `expected a currency of ISO 4217, found ${currencyCode}`);
}

export function moneyJson({ currencyCode, minorUnits }: Draft["price"]): { currencyCode: string; minorUnits: string } {
  return { currencyCode, minorUnits: minorUnits.toString() };
}

/** `sale` left out: as of the past, of which no menu is known. */
export function toMessage(
  product: Product,
  available: number,
  sale?: ReturnType<typeof saleAt>,
): MessageInitShape<typeof ProductSchema> {
  const opensAt = sale && !sale.onSale && !product.archived ? sale.at : null;
  return {
    ...shared(product),
    available,
    archived: product.archived,
    onSale: sale?.onSale === true && !product.archived,
    ...(opensAt && { onSaleAt: timestampFromDate(opensAt) }),
    createdAt: timestampFromDate(product.createdAt),
    updatedAt: timestampFromDate(product.updatedAt),
  };
}

/** What the message and the facts about a product have in common. */
export function shared(product: Product) {
  const { productId, sku, name, description, currencyCode, priceMinorUnits, collections, prepared, version } = product;
  const price = { currencyCode, minorUnits: priceMinorUnits };
  return { productId, sku, name, description, price, collections, prepared, version };
}

function blank(productId: string, at: Date): Product {
  return {
    productId,
    sku: "",
    name: "",
    description: "",
    currencyCode: "",
    priceMinorUnits: 0n,
    collections: [],
    prepared: false,
    archived: false,
    version: 0n,
    createdAt: at,
    updatedAt: at,
  };
}
