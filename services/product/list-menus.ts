import type { ListMenusRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { menuMessage } from "./menu.ts";
import { findMenus } from "./menu-store.ts";

export async function listMenus(app: App, _caller: Caller, req: ListMenusRequest) {
  const { page, nextPageToken } = await readPage(
    req,
    {},
    (after, rowsMax) => findMenus(app.sql, Buffer.from(after ?? "", "hex").toString(), rowsMax),
    // In hexadecimal: a name may have spaces in it.
    ({ collection }) => Buffer.from(collection).toString("hex"),
    (text) => /^([0-9a-f]{2})+$/.test(text),
  );
  return { menus: page.map((menu) => menuMessage(menu, app.clock.now())), nextPageToken };
}
