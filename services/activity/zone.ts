import { invalidField } from "../../packages/service/errors.ts";
import { findZone, isDate, nextDate, type Wall, type Zone } from "../../packages/time/zone.ts";

export const QUARTER_MS = 15 * 60_000;
const DAY_MS = 86_400_000;
/** A clock is put forward or back by this much at most within a day, but where a country changes sides of the date line. */
const SHIFT_MS_MAX = 3 * 3_600_000;

/** Refuses what is no zone's name. Empty is UTC. */
export function zoneOf(name: string): Zone {
  const zone = findZone(name || "UTC");
  if (zone) return zone;
  throw invalidField("time_zone", `expected the name of a time zone, such as Europe/Berlin, found ${name}`);
}

/** Midnight, or the first quarter hour of the day where the clock was put forward over it. */
export function startOf(zone: Zone, date: string): Date {
  const clock = Date.parse(`${date}T00:00:00Z`);
  const near = clock - zone.wall(new Date(clock - zone.wall(new Date(clock)).offsetMs)).offsetMs;
  for (let at = near - SHIFT_MS_MAX; at <= near + DAY_MS + SHIFT_MS_MAX; at += QUARTER_MS)
    if (zone.wall(new Date(at)).date >= date) return new Date(at);
  throw new Error(`found no start of ${date} in ${zone.name}`);
}

/** When each hour of the day begins, and where the last one ends. A clock that is put forward or back begins another. */
export function hoursOf(zone: Zone, date: string): Date[] {
  const [start, end] = [startOf(zone, date), startOf(zone, nextDate(date))];
  const starts: Date[] = [];
  let before: Wall | undefined;
  for (let at = start.getTime(); at < end.getTime(); at += QUARTER_MS) {
    const wall = zone.wall(new Date(at));
    if (wall.hour !== before?.hour || wall.offsetMs !== before.offsetMs) starts.push(new Date(at));
    before = wall;
  }
  return [...starts, end];
}

/** Refuses a date that no calendar has, such as 2026-02-30, and one that no fact can have. */
export function requireDate(field: string, date: string): string {
  if (!isDate(date)) throw invalidField(field, `expected a date from 1970-01-01 to 2999-12-31, found ${date}`);
  return date;
}
