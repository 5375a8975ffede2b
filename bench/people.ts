import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AuthService } from "../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { ProductService } from "../packages/api/gen/bodega/product/v1/product_pb.ts";
import { codeFor } from "../scripts/copy/mails.ts";
import type { Stack } from "./stack.ts";

export interface Customer {
  userId: string;
  email: string;
  /** Good for ten minutes. */
  token: string;
}

type Admin = Pick<Stack, "edge" | "adminEmail" | "adminPassword">;

const PASSWORD = "bench-customer-password-1";
const STOCK = 1_000_000_000;

/** Customers who registered, read their mail and logged in, as anybody would. */
export async function makeCustomers(stack: Pick<Stack, "edge" | "mailCatcher">, count: number): Promise<Customer[]> {
  const auth = createClient(AuthService, transport(stack));
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const email = `customer${index}@bench.test`;
      await auth.register({ email, password: PASSWORD, displayName: `Customer ${index}` });
      await auth.verifyEmail({ email, code: await codeFor(stack.mailCatcher, email) });
      const { accessToken } = await auth.login({ email, password: PASSWORD });
      const { user } = await createClient(AuthService, transport(stack, accessToken)).getMe({});
      if (!user) throw new Error(`GetMe of ${email} answered without a user`);
      return { userId: user.userId, email, token: accessToken };
    }),
  );
}

/** For another ten minutes. */
export async function renewToken(stack: Pick<Stack, "edge">, customer: Customer): Promise<void> {
  const { email } = customer;
  customer.token = (await createClient(AuthService, transport(stack)).login({ email, password: PASSWORD })).accessToken;
}

/** Products with more stock than any run can sell. */
export async function makeProducts(stack: Admin, count: number): Promise<string[]> {
  const { accessToken } = await createClient(AuthService, transport(stack)).login({
    email: stack.adminEmail,
    password: stack.adminPassword,
  });
  const products = createClient(ProductService, transport(stack, accessToken));
  const made = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      products.createProduct({
        requestId: `product-${index}`,
        sku: `bench-${index}`,
        name: `Product number ${index}`,
        price: { currencyCode: "EUR", minorUnits: BigInt(100 + index) },
        prepared: index % 2 === 0,
        initialStock: STOCK,
      }),
    ),
  );
  return made.map(({ product }) => {
    if (!product) throw new Error("CreateProduct answered without a product");
    return product.productId;
  });
}

/** `token` may be another one at each call. */
export function transport(stack: Pick<Stack, "edge">, token?: string | (() => string)) {
  return createConnectTransport({
    baseUrl: stack.edge,
    useBinaryFormat: true,
    interceptors: [
      (next) => (req) => {
        if (token) req.header.set("authorization", `Bearer ${typeof token === "string" ? token : token()}`);
        return next(req);
      },
    ],
  });
}
