import type { GetDayRequest } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { readDay } from "./day.ts";
import { requireDate, zoneOf } from "./zone.ts";

export function getDay(app: App, _caller: Caller, { date, timeZone, hourly }: GetDayRequest) {
  const zone = zoneOf(timeZone);
  const wanted = date ? requireDate("date", date) : zone.wall(app.clock.now()).date;
  return readDay(app.sql, { zone, date: wanted, hourly });
}
