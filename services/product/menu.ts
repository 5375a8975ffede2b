import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { MenuSchema } from "../../packages/api/gen/bodega/product/v1/menu_pb.ts";
import { isOpen, opensAt, type SaleHours } from "../../packages/service/sale-hours.ts";

/** A collection with an order of its own and times at which it is served. */
export interface Menu extends SaleHours {
  collection: string;
  productIds: string[];
  removed: boolean;
  version: bigint;
  updatedAt: Date;
}

export function menuMessage(menu: Menu, now: Date): MessageInitShape<typeof MenuSchema> {
  const { removed: _, updatedAt, ...rest } = menu;
  const open = isOpen(menu, now);
  const next = open ? null : opensAt(menu, now);
  return { ...rest, updatedAt: timestampFromDate(updatedAt), open, ...(next && { opensAt: timestampFromDate(next) }) };
}
