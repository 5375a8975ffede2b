import { expect, test } from "bun:test";
import { Weekday } from "../api/gen/bodega/product/v1/menu_pb.ts";
import { hoursText, isOpen, opensAt, type SaleWindow, saleAt } from "./sale-hours.ts";

const { MONDAY, TUESDAY, FRIDAY, SATURDAY, SUNDAY } = Weekday;
const ALWAYS: SaleWindow = { days: [], opens: "", closes: "", fromDate: "", untilDate: "" };
const menu = (timeZone: string, ...windows: Partial<SaleWindow>[]) => ({
  ...{ title: "Breakfast", timeZone, windows: windows.map((window) => ({ ...ALWAYS, ...window })) },
});
const at = (text: string) => new Date(text);

// 2026-01-05 is a Monday.
test.each([
  ["from its first minute", { opens: "07:00", closes: "11:00" }, "2026-01-05T06:00:00Z", true],
  ["not a moment earlier", { opens: "07:00", closes: "11:00" }, "2026-01-05T05:59:59.999Z", false],
  ["to its last", { opens: "07:00", closes: "11:00" }, "2026-01-05T09:59:59.999Z", true],
  ["not when it closes", { opens: "07:00", closes: "11:00" }, "2026-01-05T10:00:00Z", false],
  ["on its days", { days: [TUESDAY] }, "2026-01-05T23:00:00Z", true],
  ["not on others, by its own clock", { days: [TUESDAY] }, "2026-01-05T22:59:59Z", false],
  ["over midnight", { days: [SATURDAY], opens: "22:00", closes: "02:00" }, "2026-01-11T00:59:00Z", true],
  ["and no longer", { days: [SATURDAY], opens: "22:00", closes: "02:00" }, "2026-01-11T01:00:00Z", false],
  ["not in the night before", { days: [SATURDAY], opens: "22:00", closes: "02:00" }, "2026-01-10T00:00:00Z", false],
  ["until midnight", { opens: "18:00" }, "2026-01-05T22:59:59Z", true],
  ["and not after it", { opens: "18:00" }, "2026-01-05T23:00:00Z", false],
  [
    "round the clock from an hour on",
    { days: [MONDAY], opens: "07:00", closes: "07:00" },
    "2026-01-06T05:59:00Z",
    true,
  ],
  ["on its first day", { fromDate: "2026-01-05", untilDate: "2026-01-06" }, "2026-01-04T23:00:00Z", true],
  ["not before", { fromDate: "2026-01-05", untilDate: "2026-01-06" }, "2026-01-04T22:59:59Z", false],
  ["to the end of its last day", { fromDate: "2026-01-05", untilDate: "2026-01-06" }, "2026-01-06T22:59:59Z", true],
  ["not after", { fromDate: "2026-01-05", untilDate: "2026-01-06" }, "2026-01-06T23:00:00Z", false],
  [
    "over midnight of its last day",
    { untilDate: "2026-01-05", opens: "22:00", closes: "02:00" },
    "2026-01-06T00:30:00Z",
    true,
  ],
])("a menu of Berlin is open %s", (_, window, time, open) => {
  expect(isOpen(menu("Europe/Berlin", window), at(time))).toBe(open);
});

test.each([
  ["later today", { opens: "07:00", closes: "11:00" }, "2026-01-05T05:00:00Z", "2026-01-05T06:00:00.000Z"],
  ["tomorrow", { opens: "07:00", closes: "11:00" }, "2026-01-05T10:00:00Z", "2026-01-06T06:00:00.000Z"],
  [
    "in a week",
    { days: [MONDAY], opens: "07:00", closes: "11:00" },
    "2026-01-05T10:00:00Z",
    "2026-01-12T06:00:00.000Z",
  ],
  ["on its first day", { days: [FRIDAY], fromDate: "2026-07-01" }, "2026-01-05T10:00:00Z", "2026-07-02T22:00:00.000Z"],
  ["never again", { untilDate: "2026-01-04" }, "2026-01-05T10:00:00Z", null],
  [
    "never, where no day of its weeks is left",
    { days: [SUNDAY], untilDate: "2026-01-10" },
    "2026-01-05T10:00:00Z",
    null,
  ],
  [
    "at the same hour when the clock is put forward",
    { opens: "07:00", closes: "11:00" },
    "2026-03-28T12:00:00Z",
    "2026-03-29T05:00:00.000Z",
  ],
  ["and back", { opens: "07:00", closes: "11:00" }, "2026-10-24T12:00:00Z", "2026-10-25T06:00:00.000Z"],
  [
    "once, when its hour comes twice",
    { opens: "02:30", closes: "02:45" },
    "2026-10-24T12:00:00Z",
    "2026-10-25T00:30:00.000Z",
  ],
])("a menu of Berlin that is closed opens %s", (_, window, time, opens) => {
  const hours = menu("Europe/Berlin", window);
  expect(isOpen(hours, at(time))).toBe(false);
  expect(opensAt(hours, at(time))?.toISOString() ?? null).toBe(opens);
});

test("an hour that the clock leaps over is over as soon as it would begin, or opens behind the leap", () => {
  const leapt = menu("Europe/Berlin", { opens: "02:30", closes: "04:00" });
  const next = opensAt(leapt, at("2026-03-28T12:00:00Z"));
  expect(next?.toISOString()).toBe("2026-03-29T01:30:00.000Z");
  expect(isOpen(leapt, next ?? at("2026-01-01"))).toBe(true);
});

test("a product is on sale while any of its menus is open, and at any time where it is in none", () => {
  const breakfast = menu("UTC", { opens: "07:00", closes: "11:00" });
  const dinner = menu("America/New_York", { opens: "18:00", closes: "22:00" });
  expect(saleAt([], at("2026-01-05T12:00:00Z"))).toEqual({ onSale: true });
  expect(saleAt([breakfast, menu("UTC")], at("2026-01-05T12:00:00Z"))).toEqual({ onSale: true });
  expect(saleAt([breakfast, dinner], at("2026-01-05T23:30:00Z"))).toEqual({ onSale: true });
  expect(saleAt([breakfast, dinner], at("2026-01-05T12:00:00Z"))).toEqual({
    onSale: false,
    at: at("2026-01-05T23:00:00Z"),
  });
  expect(saleAt([menu("UTC", { untilDate: "2025-12-31" })], at("2026-01-05T12:00:00Z"))).toEqual({
    onSale: false,
    at: null,
  });
});

test("hours are told as people say them", () => {
  const hours = menu(
    "Europe/Berlin",
    { days: [MONDAY, TUESDAY], opens: "07:00", closes: "11:00" },
    { fromDate: "2026-12-01" },
  );
  expect(hoursText(hours)).toBe("Mon, Tue 07:00-11:00; 2026-12-01 to (Europe/Berlin)");
});
