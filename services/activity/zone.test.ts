import { describe, expect, test } from "bun:test";
import { isDate, nextDate } from "../../packages/time/zone.ts";
import { refusalOf } from "../../tests/kit/refusal.ts";
import { hoursOf, requireDate, startOf, zoneOf } from "./zone.ts";

describe("a day", () => {
  test.each([
    ["of UTC has 24 hours", "UTC", "2026-01-05", "2026-01-05T00:00", "2026-01-06T00:00", 24],
    [
      "with half an hour beside UTC begins at half past",
      "Asia/Kolkata",
      "2026-01-05",
      "2026-01-04T18:30",
      "2026-01-05T18:30",
      24,
    ],
    ["with three quarters beside UTC too", "Asia/Kathmandu", "2026-01-05", "2026-01-04T18:15", "2026-01-05T18:15", 24],
    [
      "on which the clock is put forward has 23",
      "Europe/Berlin",
      "2026-03-29",
      "2026-03-28T23:00",
      "2026-03-29T22:00",
      23,
    ],
    ["on which it is put back has 25", "Europe/Berlin", "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00", 25],
    ["that has no midnight begins at one", "Africa/Cairo", "2026-04-24", "2026-04-23T22:00", "2026-04-24T21:00", 23],
    [
      "that has midnight twice begins at the first",
      "America/Havana",
      "2026-11-01",
      "2026-11-01T04:00",
      "2026-11-02T05:00",
      25,
    ],
    [
      "on which the clock is put back by half an hour has half an hour more",
      "Australia/Lord_Howe",
      "2026-04-05",
      "2026-04-04T13:00",
      "2026-04-05T13:30",
      25,
    ],
    ["that a country skipped is empty", "Pacific/Apia", "2011-12-30", "2011-12-30T10:00", "2011-12-30T10:00", 0],
  ])("%s", (_, name, date, start, end, hours) => {
    const zone = zoneOf(name);
    const bounds = hoursOf(zone, date);
    expect(startOf(zone, date).toISOString()).toStartWith(start);
    expect(bounds.at(-1)?.toISOString()).toStartWith(end);
    expect(bounds).toHaveLength(hours + 1);
    expect(startOf(zone, nextDate(date))).toEqual(bounds.at(-1) ?? new Date(0));
  });

  test("is one of the calendar, of the time in which facts can be", () => {
    expect(["2026-02-28", "2028-02-29", "1970-01-01", "2999-12-31"].map(isDate)).toEqual([true, true, true, true]);
    expect(["2026-02-29", "2026-13-01", "1969-12-31", "3000-01-01", "2026-1-1", ""].map(isDate)).not.toContain(true);
    expect(refusalOf(() => requireDate("date", "2026-02-30")).message).toContain("found 2026-02-30");
  });
});

describe("hours", () => {
  test("begin where the zone's clock begins them, and where it is put back in the middle of one", () => {
    const times = (name: string, date: string) =>
      hoursOf(zoneOf(name), date).map((at) => at.toISOString().slice(11, 16));
    expect(times("Asia/Kathmandu", "2026-01-05").slice(0, 3)).toEqual(["18:15", "19:15", "20:15"]);
    expect(times("Australia/Lord_Howe", "2026-04-05").slice(0, 5)).toEqual([
      "13:00",
      "14:00",
      "15:00",
      "15:30",
      "16:30",
    ]);
  });
});

test("a zone is known by its name in any case, and has one name", () => {
  expect(zoneOf("europe/BERLIN").name).toBe("Europe/Berlin");
  expect(zoneOf("").name).toBe("UTC");
});

test.each(["Nowhere/None", "+05:17", "-01:00", " ", "UTC+3"])("%p is no zone", (name) => {
  expect(refusalOf(() => zoneOf(name)).message).toContain("expected the name of a time zone");
});
