import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { TakingKind } from "../../packages/api/gen/bodega/activity/v1/activity_pb.ts";
import { CancelReason } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import type { Sql } from "../../packages/database/database.ts";
import { nextDate, type Zone } from "../../packages/time/zone.ts";
import { type SpanCount, type SpanTaking, sumCounts, sumTakings } from "./store.ts";
import { hoursOf, startOf } from "./zone.ts";

/** Watchers of today wait for a change of this. */
export const COUNTS = "counts";

export interface Wanted {
  zone: Zone;
  date: string;
  hourly: boolean;
}

/** A day as GetDay and WatchToday tell it. */
export async function readDay(sql: Sql, { zone, date, hourly }: Wanted) {
  const hours = hourly ? hoursOf(zone, date) : [];
  const bounds = hourly ? hours : [startOf(zone, date), startOf(zone, nextDate(date))];
  const [counts, takings] = await Promise.all([
    sumCounts(sql, bounds),
    sumTakings(
      sql,
      [bounds[0], bounds.at(-1)].filter((each) => each !== undefined),
    ),
  ]);
  return {
    date,
    timeZone: zone.name,
    counts: byType(counts),
    hours: hours.slice(0, -1).map((startsAt, hour) => ({
      startsAt: timestampFromDate(startsAt),
      counts: counts.flatMap(({ span, type, quantity }) => (span === hour ? [{ type, quantity }] : [])),
    })),
    takings: takings.map(takingMessage),
  };
}

/** Days one after the other, from `first` on. */
export async function readDays(sql: Sql, zone: Zone, first: string, days: number) {
  const dates = Array.from({ length: days }, (_, day) => nextDate(first, day));
  const bounds = [...dates, nextDate(first, days)].map((date) => startOf(zone, date));
  const [counts, takings] = await Promise.all([sumCounts(sql, bounds), sumTakings(sql, bounds)]);
  return dates.map((date, day) => ({
    date,
    counts: byType(counts.filter(({ span }) => span === day)),
    takings: takings.filter(({ span }) => span === day).map(takingMessage),
  }));
}

function byType(counts: SpanCount[]) {
  const sums = new Map<string, bigint>();
  for (const { type, quantity } of counts) sums.set(type, (sums.get(type) ?? 0n) + quantity);
  return Array.from(sums, ([type, quantity]) => ({ type, quantity })).sort((a, b) => (a.type < b.type ? -1 : 1));
}

function takingMessage({ kind, reason, currency_code, quantity, minor_units }: SpanTaking) {
  return {
    kind: TakingKind[kind],
    // Reasons are written as the enum's local names; none is its zero.
    cancelReason: CancelReason[reason as keyof typeof CancelReason] ?? CancelReason.UNSPECIFIED,
    amount: { currencyCode: currency_code, minorUnits: minor_units },
    quantity,
  };
}
