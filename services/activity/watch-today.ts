import type { WatchTodayRequest } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { sleep } from "../../packages/time/wait.ts";
import { COUNTS, readDay } from "./day.ts";
import { zoneOf } from "./zone.ts";

/** What changes faster is told in one. */
const TELL_MS = 250;

export async function* watchToday(
  app: App,
  _caller: Caller,
  { timeZone, hourly }: WatchTodayRequest,
  signal: AbortSignal,
) {
  const zone = zoneOf(timeZone);
  for (let told = ""; !signal.aborted; ) {
    // The wait begins before the look, so that no change falls in between.
    const changed = app.watch.next(COUNTS, signal);
    const day = await readDay(app.sql, { zone, date: zone.wall(app.clock.now()).date, hourly });
    const text = JSON.stringify(day, (_, value) => (typeof value === "bigint" ? `${value}` : value));
    if (text !== told) yield day;
    told = text;
    await changed;
    await sleep(TELL_MS, signal);
  }
}
