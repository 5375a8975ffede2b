import type { App } from "../../packages/service/app.ts";
import { contextFrom, withContext } from "../../packages/telemetry/context.ts";
import type { ProductConfig } from "./config.ts";
import { addProduct } from "./create-product.ts";

const ACTOR = "system";

/**
 * Something to look at and to order, made at the first start. The SKU decides whether a product is there already,
 * so a restart doubles nothing and what an admin has archived stays archived.
 */
export async function makeDemoProducts(app: App<ProductConfig>): Promise<void> {
  if (!app.config.demo) return;
  await withContext(contextFrom(null, null), () =>
    app.transact(async (tx) => {
      for (const { price, ...draft } of PRODUCTS) {
        await addProduct(app, tx, { ...draft, price: { currencyCode: "EUR", minorUnits: price } }, ACTOR);
      }
    }),
  );
}

const PRODUCTS = [
  {
    sku: "DEMO-BURGER",
    name: "Bodega burger",
    description: "Beef, pickles and smoked cheddar in a brioche bun.",
    price: 1_150n,
    collections: ["menu", "mains"],
    prepared: true,
    initialStock: 120,
  },
  {
    sku: "DEMO-FALAFEL",
    name: "Falafel wrap",
    description: "Six falafel, tahini, mint and a warm flatbread. Vegan.",
    price: 890n,
    collections: ["menu", "mains"],
    prepared: true,
    initialStock: 80,
  },
  {
    sku: "DEMO-CHIPS",
    name: "Chips",
    description: "Twice-fried potatoes with sea salt.",
    price: 390n,
    collections: ["menu", "sides"],
    prepared: true,
    initialStock: 300,
  },
  {
    sku: "DEMO-SALAD",
    name: "Tomato salad",
    description: "Ripe tomatoes, red onion, basil and olive oil.",
    price: 650n,
    collections: ["menu", "sides"],
    prepared: true,
    initialStock: 60,
  },
  {
    sku: "DEMO-LEMONADE",
    name: "Lemonade",
    description: "Pressed this morning, with a sprig of mint. 0.4 l.",
    price: 420n,
    collections: ["menu", "drinks"],
    prepared: true,
    initialStock: 200,
  },
  {
    sku: "DEMO-COFFEE",
    name: "House coffee beans",
    description: "Whole beans, medium roast. 500 g.",
    price: 1_390n,
    collections: ["goods"],
    prepared: false,
    initialStock: 150,
  },
  {
    sku: "DEMO-MUG",
    name: "Enamel mug",
    description: "White with a blue rim. Survives every picnic.",
    price: 1_490n,
    collections: ["goods"],
    prepared: false,
    initialStock: 500,
  },
  {
    sku: "DEMO-TSHIRT",
    name: "T-shirt",
    description: "Heavy organic cotton, printed with the corner shop's cat.",
    price: 2_490n,
    collections: ["goods"],
    prepared: false,
    initialStock: 20,
  },
];
