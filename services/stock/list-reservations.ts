import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ListReservationsRequest, ReservationStatus } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import type { Reservation, Status } from "./reservation.ts";
import { findReservations } from "./store.ts";

export async function listReservations(app: App, _caller: Caller, req: ListReservationsRequest) {
  const status = STATUS[req.status] ?? null;
  const { page, nextPageToken } = await readPage(
    req,
    { status },
    (before, rowsMax) => findReservations(app.sql, status, before, rowsMax),
    ({ orderId }) => orderId,
  );
  return { reservations: page.map(toMessage), nextPageToken };
}

function toMessage({ orderId, status, lines, createdAt, updatedAt }: Reservation) {
  return {
    orderId,
    status: ReservationStatus[status],
    lines,
    createdAt: timestampFromDate(createdAt),
    updatedAt: timestampFromDate(updatedAt),
  };
}

const STATUS: Record<ReservationStatus, Status | null> = {
  [ReservationStatus.UNSPECIFIED]: null,
  [ReservationStatus.RESERVED]: "RESERVED",
  [ReservationStatus.REJECTED]: "REJECTED",
  [ReservationStatus.RELEASED]: "RELEASED",
  [ReservationStatus.COMMITTED]: "COMMITTED",
};
