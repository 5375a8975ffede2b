import type { ListDaysRequest } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readPage } from "../../packages/service/paging.ts";
import { isDate, nextDate } from "../../packages/time/zone.ts";
import { readDays } from "./day.ts";
import { firstCounted } from "./store.ts";
import { requireDate, zoneOf } from "./zone.ts";

const DAY_MS = 86_400_000;

export async function listDays(app: App, _caller: Caller, req: ListDaysRequest) {
  const zone = zoneOf(req.timeZone);
  const first = await firstCounted(app.sql);
  const today = zone.wall(app.clock.now()).date;
  const to = req.toDate ? requireDate("to_date", req.toDate) : today;
  const from = req.fromDate ? requireDate("from_date", req.fromDate) : first ? zone.wall(first).date : today;
  const { page, nextPageToken } = await readPage(
    req,
    { from: req.fromDate, to: req.toDate, zone: zone.name },
    async (after, rowsMax) => {
      const newest = after ? nextDate(after, -1) : to;
      const days = Math.min(rowsMax, daysBetween(from, newest) + 1);
      return days > 0 ? (await readDays(app.sql, zone, nextDate(newest, 1 - days), days)).reverse() : [];
    },
    ({ date }) => date,
    isDate,
  );
  return { days: page, nextPageToken };
}

function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / DAY_MS;
}
