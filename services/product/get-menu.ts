import type { GetMenuRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { menuMessage } from "./menu.ts";
import { findMenu } from "./menu-store.ts";

export async function getMenu(app: App, _caller: Caller, { collection }: GetMenuRequest) {
  const menu = await findMenu(app.sql, collection);
  if (!menu || menu.removed) throw notFound("menu", collection);
  return { menu: menuMessage(menu, app.clock.now()) };
}
