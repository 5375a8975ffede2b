import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { EntryKind, type ListEntriesRequest } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { userOf } from "./get-balance.ts";
import type { Kind } from "./ledger.ts";
import { listMovements, type MovementRow } from "./store.ts";

export async function listEntries(app: App, caller: Caller, req: ListEntriesRequest) {
  const userId = userOf(caller, req.userId);
  const { page, nextPageToken } = await readPage(
    req,
    { userId },
    (before, rowsMax) => listMovements(app.sql, userId, before, rowsMax),
    ({ movement_id }) => movement_id,
  );
  return { entries: page.map(toMessage), nextPageToken };
}

function toMessage({ movement_id, kind, balance_delta, held_delta, order_id, reason, at }: MovementRow) {
  return {
    entryId: movement_id,
    kind: KIND[kind],
    balanceDelta: balance_delta,
    heldDelta: held_delta,
    orderId: order_id ?? "",
    reason,
    at: timestampFromDate(at),
  };
}

const KIND: Record<Kind, EntryKind> = {
  granted: EntryKind.GRANTED,
  held: EntryKind.HELD,
  released: EntryKind.RELEASED,
  committed: EntryKind.COMMITTED,
  returned: EntryKind.RETURNED,
  taken_back: EntryKind.TAKEN_BACK,
};
