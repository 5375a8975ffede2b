import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { MenuChanged } from "../../packages/api/facts.ts";
import type { SetMenuRequest } from "../../packages/api/gen/bodega/product/v1/product_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { audit } from "../../packages/service/audit.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField, refused } from "../../packages/service/errors.ts";
import { findZone, isDate } from "../../packages/time/zone.ts";
import { type Menu, menuMessage } from "./menu.ts";
import { findMenu, findMissing, saveMenu } from "./menu-store.ts";

export async function setMenu(app: App, caller: Caller, req: SetMenuRequest) {
  refuseWrongHours(req);
  const { collection, title, timeZone, productIds, expectedVersion } = req;
  return app.transact(async (tx) => {
    const missing = new Set(await findMissing(tx.sql, productIds));
    const at = productIds.findIndex((productId) => missing.has(productId));
    if (at >= 0) throw invalidField(`product_ids[${at}]`, `expected a product, found none with ${productIds[at]}`);
    const current = await findMenu(tx.sql, collection);
    refuseUnlessCurrent(current, req);
    const windows = req.windows.map(({ days, opens, closes, fromDate, untilDate }) => {
      return { days, opens, closes, fromDate, untilDate };
    });
    const [version, now] = [(current?.version ?? 0n) + 1n, app.clock.now()];
    const menu = { collection, title, timeZone, windows, productIds, removed: false, version, updatedAt: now };
    if (!(await saveMenu(tx.sql, menu))) {
      // Another change committed since the read above: what it left is what was found.
      refuseUnlessCurrent(await findMenu(tx.sql, collection), req);
      throw new Error(`menu ${collection} kept version ${expectedVersion} but could not be saved`);
    }
    tellMenu(tx, menu);
    audit(app, tx, caller, { subject: collection, detail: `version ${version}` });
    return { menu: menuMessage(menu, now) };
  });
}

export function tellMenu(tx: Tx, { productIds: _, updatedAt, ...menu }: Menu): void {
  tx.emit(MenuChanged, { ...menu, updatedAt: timestampFromDate(updatedAt) });
}

function refuseWrongHours({ timeZone, windows }: SetMenuRequest) {
  if (!findZone(timeZone))
    throw invalidField("time_zone", `expected the name of a time zone, such as Europe/Berlin, found ${timeZone}`);
  for (const [at, { fromDate, untilDate }] of windows.entries()) {
    for (const [field, date] of Object.entries({ from_date: fromDate, until_date: untilDate }))
      if (date !== "" && !isDate(date))
        throw invalidField(`windows[${at}].${field}`, `expected a date such as 2026-12-01, found ${date}`);
    if (fromDate !== "" && untilDate !== "" && fromDate > untilDate)
      throw invalidField(`windows[${at}].until_date`, `expected no day before ${fromDate}, found ${untilDate}`);
  }
}

/** A menu that was removed is none, and goes on from its version all the same. */
function refuseUnlessCurrent(current: Menu | undefined, { collection, expectedVersion }: SetMenuRequest) {
  const found = current && !current.removed ? current.version : 0n;
  if (found !== expectedVersion) throw staleMenu(collection, expectedVersion, `${found}`);
}

export function staleMenu(collection: string, expected: bigint, found: string) {
  const message = `menu ${collection}: expected version ${expected}, found ${found}: read it again`;
  return refused(Code.Aborted, "STALE_VERSION", message);
}
