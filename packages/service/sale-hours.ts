import type { Weekday } from "../api/gen/bodega/product/v1/menu_pb.ts";
import { findZone, nextDate, type Wall, type Zone } from "../time/zone.ts";

/** When something is sold, by a wall clock; a bodega.product.v1.SaleWindow, and what is kept of one. */
export interface SaleWindow {
  /** None: all of them. */
  days: Weekday[];
  opens: string;
  closes: string;
  fromDate: string;
  untilDate: string;
}

/** A menu, as far as it says when its products are sold. */
export interface SaleHours {
  title: string;
  timeZone: string;
  /** None: always. */
  windows: SaleWindow[];
}

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/** Today, and seven days more: an opening earlier today comes again in a week. */
const DAYS_AHEAD = 8;

/** What is in no menu is always on sale; what is in some, while one of them is open. `at`: when the first opens, where none is; null for never. */
export function saleAt(menus: SaleHours[], now: Date): { onSale: true } | { onSale: false; at: Date | null } {
  if (menus.length === 0 || menus.some((menu) => isOpen(menu, now))) return { onSale: true };
  const times = menus.flatMap((menu) => opensAt(menu, now)?.getTime() ?? []);
  return { onSale: false, at: times.length > 0 ? new Date(Math.min(...times)) : null };
}

export function isOpen({ timeZone, windows }: SaleHours, now: Date): boolean {
  if (windows.length === 0) return true;
  const wall = zoneOf(timeZone).wall(now);
  return windows.some((window) => isWithin(window, wall));
}

/** When a menu that is closed opens next; null for never. */
export function opensAt({ timeZone, windows }: SaleHours, now: Date): Date | null {
  const zone = zoneOf(timeZone);
  const times = windows.flatMap((window) => nextOpening(window, zone, now)?.getTime() ?? []);
  return times.length > 0 ? new Date(Math.min(...times)) : null;
}

/** For people: Mon, Tue 07:00-11:00 (Europe/Berlin). */
export function hoursText({ timeZone, windows }: SaleHours): string {
  const texts = windows.map(({ days, opens, closes, fromDate, untilDate }) => {
    const named = days.map((day) => DAYS[day - 1]).join(", ");
    const clock = opens || closes ? `${opens || "00:00"}-${closes || "24:00"}` : "";
    const dates = fromDate || untilDate ? `${fromDate} to ${untilDate}`.trim() : "";
    return [named, clock, dates].filter((part) => part !== "").join(" ") || "always";
  });
  return `${texts.join("; ")} (${timeZone})`;
}

function zoneOf(timeZone: string): Zone {
  const zone = findZone(timeZone);
  if (!zone) throw new Error(`${timeZone} was a time zone when the menu was made, and is none here`);
  return zone;
}

function isWithin(window: SaleWindow, { date, hour, minute }: Wall): boolean {
  const now = hour * 60 + minute;
  const [opens, closes] = [minutesOf(window.opens), minutesOf(window.closes)];
  if (opens < closes) return opens <= now && now < closes && opensOn(window, date);
  return (opens <= now && opensOn(window, date)) || (now < closes && opensOn(window, nextDate(date, -1)));
}

function nextOpening(window: SaleWindow, zone: Zone, now: Date): Date | undefined {
  const today = zone.wall(now).date;
  const first = window.fromDate > today ? window.fromDate : today;
  for (let days = 0; days < DAYS_AHEAD; days += 1) {
    const date = nextDate(first, days);
    const at = zone.at(date, minutesOf(window.opens));
    if (at > now && opensOn(window, date)) return at;
  }
  return undefined;
}

function opensOn({ days, fromDate, untilDate }: SaleWindow, date: string): boolean {
  const weekday = ((new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7) + 1;
  if (days.length > 0 && !days.some((day) => day === weekday)) return false;
  return (fromDate === "" || date >= fromDate) && (untilDate === "" || date <= untilDate);
}

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(":").map(Number);
  return hours * 60 + minutes;
}
