import { expect, test } from "bun:test";
import { minorUnitsOf, moneyText } from "./money.ts";

test.each([
  ["EUR", 450n, "€4.50", "EUR 4.50"],
  ["EUR", -5n, "-€0.05", "-EUR 0.05"],
  ["JPY", 1234567n, "¥1,234,567", "JPY 1,234,567"],
  ["KWD", 1n, "KWD 0.001", "KWD 0.001"],
  ["EUR", 900719925474099312345n, "€9,007,199,254,740,993,123.45", "EUR 9,007,199,254,740,993,123.45"],
])("%s %d is %s, or %s", (currencyCode, minorUnits, bySymbol, byCode) => {
  expect(moneyText({ currencyCode, minorUnits })).toBe(bySymbol);
  expect(moneyText({ currencyCode, minorUnits }, "code")).toBe(byCode);
});

test.each([
  ["4.50", "EUR", 450n],
  ["4,5", "EUR", 450n],
  ["4", "EUR", 400n],
  ["0.125", "KWD", 125n],
  ["900719925474099312", "JPY", 900719925474099312n],
  ["4.505", "EUR", undefined],
  ["4.5", "JPY", undefined],
  ["1,234.50", "EUR", undefined],
  ["-4", "EUR", undefined],
  ["4.", "EUR", undefined],
  [" 4", "EUR", undefined],
  ["", "EUR", undefined],
])("the numeral %p of %s is %p minor units", (numeral, currencyCode, minorUnits) => {
  expect(minorUnitsOf(numeral, currencyCode)).toBe(minorUnits);
});
