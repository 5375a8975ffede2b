import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ListReservationsRequest, ReservationStatus } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { afterOf, pageToken } from "./page-token.ts";
import type { Reservation, Status } from "./reservation.ts";
import { findReservations } from "./store.ts";

const PAGE_SIZE = 50;

export async function listReservations(app: App, _caller: Caller, req: ListReservationsRequest) {
  const status = STATUS[req.status] ?? null;
  const filters = [String(status)];
  const size = req.pageSize || PAGE_SIZE;
  const before = req.pageToken === "" ? null : afterOf(req.pageToken, filters);
  const found = await findReservations(app.sql, status, before, size + 1);
  const page = found.slice(0, size);
  const last = page.at(-1);
  return {
    reservations: page.map(toMessage),
    nextPageToken: last && found.length > size ? pageToken(last.orderId, filters) : "",
  };
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
