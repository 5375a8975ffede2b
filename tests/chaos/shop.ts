import {
  GetMeResponseSchema,
  LoginResponseSchema,
  RegisterResponseSchema,
  VerifyEmailResponseSchema,
} from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import {
  CreateProductResponseSchema,
  ListProductsResponseSchema,
} from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { sleep } from "../../packages/time/wait.ts";
import { codeFor } from "../../scripts/copy/mails.ts";
import { type Client, must } from "./client.ts";

export const ADMIN = { email: "admin@bodega.test", password: "four crashing horses" };
const PASSWORD = "seven crashing horses";

export interface Customer {
  userId: string;
  email: string;
  token: string;
}

export interface Product {
  productId: string;
  /** Units that were put there at the start. */
  initial: number;
  /** So few that orders are turned away. */
  scarce: boolean;
}

export interface Shop {
  adminToken: string;
  customers: Customer[];
  products: Product[];
}

/** What a fresh start needs before anybody can order: an admin, products, and customers whose address is verified. */
export async function openShop(client: Client, mailBase: string, customerCount: number, admin = ADMIN): Promise<Shop> {
  const adminToken = await login(client, admin.email, admin.password);
  const products = [
    await makeProduct(client, adminToken, { sku: "CHAOS-SOUP", prepared: true, initial: 100_000 }),
    await makeProduct(client, adminToken, { sku: "CHAOS-SPOON", prepared: false, initial: 100_000 }),
    await demoProduct(client, "DEMO-TSHIRT", 20),
  ];
  const customers: Customer[] = [];
  for (let index = 0; index < customerCount; index++)
    customers.push(await newCustomer(client, mailBase, `eater-${index}@bodega.test`));
  return { adminToken, customers, products };
}

async function makeProduct(
  client: Client,
  token: string,
  { sku, prepared, initial }: { sku: string; prepared: boolean; initial: number },
): Promise<Product> {
  const body = {
    requestId: `make-${sku}`,
    sku,
    name: sku,
    price: { currencyCode: "EUR", minorUnits: "335" },
    prepared,
    initialStock: initial,
  };
  const { product } = await must(
    client.ask(CreateProductResponseSchema, { method: "POST", path: "/v1/products", token, body }),
  );
  return { productId: product?.productId ?? "", initial, scarce: false };
}

async function demoProduct(client: Client, sku: string, initial: number): Promise<Product> {
  const path = `/v1/products?query=${sku}`;
  const { products } = await must(client.ask(ListProductsResponseSchema, { method: "GET", path }));
  const product = products.find((each) => each.sku === sku);
  if (!product) throw new Error(`expected the demo product ${sku}, found ${products.map((each) => each.sku)}`);
  return { productId: product.productId, initial, scarce: true };
}

async function newCustomer(client: Client, mailBase: string, email: string): Promise<Customer> {
  const body = { email, password: PASSWORD, displayName: "Eater" };
  await must(client.ask(RegisterResponseSchema, { method: "POST", path: "/v1/users", body }));
  const code = await codeFor(mailBase, email);
  const path = "/v1/users:verifyEmail";
  await must(client.ask(VerifyEmailResponseSchema, { method: "POST", path, body: { email, code } }));
  const token = await login(client, email, PASSWORD);
  const { user } = await must(client.ask(GetMeResponseSchema, { method: "GET", path: "/v1/users/me", token }));
  return { userId: user?.userId ?? "", email, token };
}

/** Tokens live for ten minutes: who orders for longer logs in again. */
export async function renewTokens(client: Client, shop: Shop, admin = ADMIN): Promise<void> {
  shop.adminToken = await login(client, admin.email, admin.password);
  for (const customer of shop.customers) customer.token = await login(client, customer.email, PASSWORD);
}

/** Tokens live for ten minutes. */
const RENEW_MS = 240_000;

/** Resolves when it is over. */
export async function stayLoggedIn(client: Client, shop: Shop, over: AbortSignal, admin = ADMIN): Promise<void> {
  for (;;) {
    await sleep(RENEW_MS, over);
    if (over.aborted) return;
    await renewTokens(client, shop, admin);
  }
}

export async function login(client: Client, email: string, password: string): Promise<string> {
  const call = { method: "POST", path: "/v1/sessions", body: { email, password } } as const;
  return (await must(client.ask(LoginResponseSchema, call))).accessToken;
}
