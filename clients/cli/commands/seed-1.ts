// The words of seed 1's own command, whose test sequence they run as it was written. Its things have numbers, which people can type; here they follow
// from what the shop holds: users without power in the order they came, and items by their SKUs.
import { Code, ConnectError } from "@connectrpc/connect";
import { AuthService, Role, type User } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OrderService } from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { type GetBalanceResponse, PointsService } from "../../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { type Product, ProductService } from "../../../packages/api/gen/bodega/product/v1/product_pb.ts";
import { StockService } from "../../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { Group } from "../command-line.ts";
import { Exit } from "../exit.ts";
import { all } from "../names.ts";
import { Problem } from "../problem.ts";
import { register } from "../register.ts";
import type { Shop } from "../shop.ts";
import { wholeNumber } from "../values.ts";
import { onceReserved } from "./pay.ts";
import { showInfo } from "./svc-info.ts";

const ITEMS = "items";
const COUNT = { min: 1n, max: 1_000_000n };
/** What one service has just told, another knows a moment later. */
const MOMENT_MS_MAX = 20_000;
const LOOK_MS = 100;
const NUMBERS_TRIED_MAX = 20;

export const seed1: Group = (program, at) => {
  program
    .command("create-user")
    .description("Seed 1: users create NAME@bodega.test")
    .argument("<name>")
    .action(async (name) => {
      const shop = at();
      const password = shop.env["BODEGA_PASSWORD"] || crypto.randomUUID();
      const { userId: id } = await register(shop, name.includes("@") ? name : `${name}@bodega.test`, name, password);
      const userId = (await customers(shop)).findIndex((user) => user.userId === id) + 1;
      shop.showOwn({ userId }, () => shop.say(`userId: ${userId}`));
    });

  program
    .command("create-item")
    .description("Seed 1: products create item-N, at so many points")
    .argument("<name>")
    .argument("<cost>", "in points, which are minor units")
    .action(async (name, cost) => {
      const shop = at();
      const itemId = await createItem(shop, name, wholeNumber("cost", cost, { min: 0n, max: 1_000_000_000n }));
      shop.showOwn({ itemId }, () => shop.say(`itemId: ${itemId}`));
    });

  program
    .command("create-marketplace-item")
    .description("Seed 1: stock adjust item-N, by so many")
    .argument("<item-id>")
    .argument("<count>")
    .action(async (itemId, count) => {
      const shop = at();
      const delta = Number(wholeNumber("count", count, COUNT));
      const { productId } = await itemOf(shop, "item-id", itemId);
      const request = { requestId: crypto.randomUUID(), productId, delta, reason: "put on the market" };
      await onceKnown(Code.NotFound, () => shop.call(StockService).adjustStock(request));
      shop.showOwn({ marketplaceItemId: Number(itemId) }, () => shop.say(`marketplaceItemId: ${itemId}`));
    });

  program
    .command("user-gxp-add")
    .description("Seed 1: points grant USER AMOUNT")
    .argument("<user-id>")
    .argument("<amount>")
    .action(async (number, text) => {
      const shop = at();
      const amount = wholeNumber("amount", text);
      const { userId } = await userOf(shop, number);
      const request = { requestId: crypto.randomUUID(), userId, amount, reason: "granted by the shop" };
      showBalance(shop, await shop.call(PointsService).grantPoints(request));
    });

  program
    .command("user-gxp")
    .description("Seed 1: points show USER")
    .argument("<user-id>")
    .action(async (number) => {
      const shop = at();
      const { userId } = await userOf(shop, number);
      showBalance(shop, await shop.call(PointsService).getBalance({ userId }));
    });

  program
    .command("buy-marketplace-item")
    .description("Seed 1: orders place and pay --points, in the user's name")
    .argument("<user-id>")
    .argument("<marketplace-item-id>")
    .action(async (number, itemId) => {
      const shop = at();
      const user = await userOf(shop, number);
      const { productId } = await itemOf(shop, "marketplace-item-id", itemId);
      const { orderId, balance } = await buy(shop, user, productId);
      shop.showOwn({ orderId, balance: String(balance) }, () => shop.say(`orderId: ${orderId}\nbalance: ${balance}`));
    });

  for (const [word, service] of Object.entries(SERVICES))
    program
      .command(`${word}-svc-info`)
      .description(`Seed 1: svc-info ${service}`)
      .action(async () => showInfo(at(), service, 1));
};

const SERVICES = { marketplace: "order", user: "auth", item: "product", gxp: "points" };

/** The next number that is free: a SKU is given once. */
async function createItem(shop: Shop, name: string, minorUnits: bigint): Promise<number> {
  const numbers = (await items(shop)).map(({ sku }) => Number(/^item-(\d+)$/.exec(sku)?.[1] ?? 0));
  const first = Math.max(0, ...numbers) + 1;
  for (let number = first; ; number += 1) {
    const price = { currencyCode: "EUR", minorUnits };
    const request = { requestId: crypto.randomUUID(), sku: `item-${number}`, name, price, collections: [ITEMS] };
    try {
      await shop.call(ProductService).createProduct(request);
      return number;
    } catch (error) {
      // Somebody made one at the same time.
      const isTaken = error instanceof ConnectError && error.code === Code.AlreadyExists;
      if (!isTaken || number - first >= NUMBERS_TRIED_MAX) throw error;
    }
  }
}

function items(shop: Shop): Promise<Product[]> {
  return all(
    (page) => shop.call(ProductService).listProducts({ ...page, collection: ITEMS }),
    ({ products }) => products,
  );
}

async function itemOf(shop: Shop, argument: string, number: string): Promise<Product> {
  wholeNumber(argument, number, COUNT);
  const found = (await items(shop)).find(({ sku }) => sku === `item-${number}`);
  if (found) return found;
  throw new Problem(Exit.NOT_FOUND, `${argument}: there is no item ${number}`, "bodega create-item NAME COST");
}

async function customers(shop: Shop): Promise<User[]> {
  const users = await all(
    (page) => shop.call(AuthService).listUsers(page),
    (page) => page.users,
  );
  return users.filter(({ roles }) => !roles.includes(Role.ADMIN));
}

async function userOf(shop: Shop, number: string): Promise<User> {
  const found = (await customers(shop))[Number(wholeNumber("user-id", number, COUNT)) - 1];
  if (found) return found;
  throw new Problem(Exit.NOT_FOUND, `user-id: there is no user ${number}`, "bodega create-user NAME");
}

/** A purchase is the customer's own: it is made in the session that create-user has kept. */
async function buy(shop: Shop, { email, userId }: User, productId: string) {
  if (!(await shop.sessions.emails()).includes(email))
    throw new Problem(
      Exit.NOT_ALLOWED,
      `${email} is not logged in here, and buys in nobody's name`,
      `bodega login ${email}`,
    );
  const { call } = shop.inNameOf(email);
  const placed = { requestId: crypto.randomUUID(), lines: [{ productId, quantity: 1 }] };
  const { order } = await onceKnown(Code.InvalidArgument, () => call(OrderService).placeOrder(placed));
  const paid = { requestId: crypto.randomUUID(), orderId: order?.orderId ?? "" };
  await onceReserved(() => call(OrderService).payWithPoints(paid));
  for (const end = performance.now() + MOMENT_MS_MAX; ; await Bun.sleep(LOOK_MS)) {
    const { held, balance } = await call(PointsService).getBalance({ userId });
    // The second phase: what was held is spent.
    if (held === 0n || performance.now() > end) return { orderId: paid.orderId, balance };
  }
}

/** Asked again while the answer is this code, for the moment that it takes until everybody knows what is new. */
async function onceKnown<T>(code: Code, ask: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + MOMENT_MS_MAX; ; await Bun.sleep(LOOK_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== code || performance.now() > end) throw error;
    }
  }
}

function showBalance(shop: Shop, { balance, held }: Pick<GetBalanceResponse, "balance" | "held">): void {
  const shown = { balance: String(balance), held: String(held) };
  shop.showOwn(shown, () => shop.say(`balance: ${balance}\nheld: ${held}`));
}
