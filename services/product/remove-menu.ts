import type { RemoveMenuRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { findMenu, saveMenu } from "./menu-store.ts";
import { staleMenu, tellMenu } from "./set-menu.ts";

export async function removeMenu(app: App, caller: Caller, { collection }: RemoveMenuRequest) {
  return app.transact(async (tx) => {
    const current = await findMenu(tx.sql, collection);
    if (!current) throw notFound("menu", collection);
    if (current.removed) return {};
    const menu = { ...current, removed: true, version: current.version + 1n, updatedAt: app.clock.now() };
    if (!(await saveMenu(tx.sql, menu))) throw staleMenu(collection, current.version, "another");
    tellMenu(tx, menu);
    audit(app, tx, caller, { subject: collection });
    return {};
  });
}
