const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** A zone's wall clock: "2026-01-31", 13 and 45, and how far it is ahead of UTC. */
export interface Wall {
  date: string;
  hour: number;
  minute: number;
  offsetMs: number;
}

/** The clock of a place. Every one is ahead of UTC by whole quarter hours, and is put forward and back at whole quarter hours of UTC. */
export interface Zone {
  name: string;
  wall(at: Date): Wall;
  /** When the wall clock shows so many minutes after midnight; the first time where it does twice, a little later where it leaps over them. */
  at(date: string, minutes: number): Date;
}

const zones = new Map<string, Zone>();

/** Undefined for what is no zone's name. */
export function findZone(name: string): Zone | undefined {
  const format = formatOf(name);
  if (!format) return undefined;
  const canonical = format.resolvedOptions().timeZone;
  // There are only so many zones: what is kept here is bounded.
  const known = zones.get(canonical) ?? zoneBy(canonical, format);
  zones.set(canonical, known);
  return known;
}

function zoneBy(name: string, format: Intl.DateTimeFormat): Zone {
  const wall = (at: Date) => read(format, at);
  return {
    name,
    wall,
    at(date, minutes) {
      const clock = Date.parse(`${date}T00:00:00Z`) + minutes * MINUTE_MS;
      const candidates = [clock - DAY_MS, clock + DAY_MS]
        .map((near) => clock - wall(new Date(near)).offsetMs)
        .sort((a, b) => a - b);
      const shown = candidates.find((at) => at + wall(new Date(at)).offsetMs === clock);
      return new Date(shown ?? Math.max(...candidates));
    },
  };
}

const formats = new Map<string, Intl.DateTimeFormat>();
/** Names may be written in many ways. */
const FORMATS_MAX = 2_000;

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  const known = formats.get(timeZone);
  if (known) return known;
  // Bare offsets such as +05:17 are no zones, and not all are whole quarter hours.
  if (!/^[a-z]/i.test(timeZone)) return undefined;
  try {
    const format = new Intl.DateTimeFormat("en-CA", {
      timeZone,
      ...{ year: "numeric", month: "2-digit", day: "2-digit" },
      ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
    });
    if (formats.size >= FORMATS_MAX) formats.clear();
    formats.set(timeZone, format);
    return format;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function read(format: Intl.DateTimeFormat, at: Date): Wall {
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? "";
  const date = `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`;
  const clock = Date.parse(`${date}T${part("hour")}:${part("minute")}:${part("second")}Z`);
  const offsetMs = clock - Math.floor(at.getTime() / 1_000) * 1_000;
  return { date, hour: Number(part("hour")), minute: Number(part("minute")), offsetMs };
}

export function nextDate(date: string, days = 1): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** Whether a calendar has it, unlike 2026-02-30, and anything here can have happened on it. */
export function isDate(text: string): boolean {
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().slice(0, 10) === text && text >= "1970" && text < "3000";
}
