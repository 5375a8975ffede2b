import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ListReservationsRequest, ReservationStatus } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { stateOf } from "../../packages/service/states.ts";
import type { Reservation } from "./reservation.ts";
import { findReservations } from "./store.ts";

export async function listReservations(app: App, _caller: Caller, req: ListReservationsRequest) {
  const status = stateOf(ReservationStatus, req.status);
  const { page, nextPageToken } = await readPage(
    req,
    { status },
    (before, rowsMax) => findReservations(app.sql, status, before, rowsMax),
    ({ order_id }) => order_id,
  );
  return { reservations: page.map(toMessage), nextPageToken };
}

function toMessage({ order_id, status, lines, created_at, updated_at }: Reservation) {
  return {
    orderId: order_id,
    status: ReservationStatus[status],
    lines,
    createdAt: timestampFromDate(created_at),
    updatedAt: timestampFromDate(updated_at),
  };
}
