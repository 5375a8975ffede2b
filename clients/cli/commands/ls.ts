import { toJson } from "@bufbuild/protobuf";
import { AuthService, ListUsersResponseSchema } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { ListOrdersResponseSchema, OrderService } from "../../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { PointsService } from "../../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { ListProductsResponseSchema, ProductService } from "../../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { Group } from "../command-line.ts";
import { orderTable } from "./orders.ts";
import { productTable } from "./products.ts";
import { rolesOf } from "./users.ts";

const SHOWN = 20;
const WHOLE = { alwaysEmitImplicit: true };

export const ls: Group = (program, at) => {
  program
    .command("ls")
    .description(`The shop at a glance: users with their points, products, and the newest orders, ${SHOWN} of each`)
    .action(async () => {
      const shop = at();
      const page = { pageSize: SHOWN };
      const [users, products, orders] = await Promise.all([
        shop.call(AuthService).listUsers(page),
        shop.call(ProductService).listProducts(page),
        shop.call(OrderService).listOrders(page),
      ]);
      const balances = await Promise.all(
        users.users.map(async ({ userId }) => (await shop.call(PointsService).getBalance({ userId })).balance),
      );
      const lists = {
        users: toJson(ListUsersResponseSchema, users, WHOLE),
        points: users.users.map(({ userId }, i) => ({ userId, balance: String(balances[i]) })),
        products: toJson(ListProductsResponseSchema, products, WHOLE),
        orders: toJson(ListOrdersResponseSchema, orders, WHOLE),
      };
      shop.showOwn(lists, () => {
        const { terminal } = shop;
        terminal.table(
          ["EMAIL", "NAME", "ROLES", "POINTS", "USER"],
          users.users.map((user, i) => [user.email, user.displayName, rolesOf(user), balances[i] ?? 0n, user.userId]),
        );
        terminal.line("");
        productTable(shop, products.products);
        terminal.line("");
        orderTable(shop, orders.orders);
      });
    });
};
