import type { GetHoldRequest } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { notFound } from "../../packages/service/errors.ts";
import { holdMessage } from "./hold.ts";
import { findHold, findNewestHold } from "./store.ts";

export async function getHold(app: App, _caller: Caller, { holdId, orderId }: GetHoldRequest) {
  const hold = holdId ? await findHold(app.sql, holdId) : await findNewestHold(app.sql, orderId);
  if (!hold) throw notFound("hold", holdId || `of order ${orderId}`);
  return { hold: holdMessage(hold) };
}
