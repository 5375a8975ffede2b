import { expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { reasonOf } from "../../../packages/service/errors.ts";
import { SEED } from "../../../tests/kit/seed.ts";
import { fromStripe, toStripe } from "./stripe-amount.ts";

test.each([
  ["EUR", 1_999n, "eur", 1_999],
  ["JPY", 500n, "jpy", 500],
  ["KRW", 12_000n, "krw", 12_000],
  ["ISK", 500n, "isk", 50_000],
  ["UGX", 7n, "ugx", 700],
  ["MGA", 1_200n, "mga", 12],
  ["KWD", 1_230n, "kwd", 1_230],
])("%s: %p minor units are %p %p at Stripe, and back", (currencyCode, minorUnits, currency, units) => {
  expect(toStripe({ currencyCode, minorUnits })).toEqual({ currency, units });
  expect(fromStripe(currency, units)).toEqual({ currencyCode, minorUnits });
});

test.each([
  ["KWD", 1_234n],
  ["MGA", 150n],
])("%s %p cannot be paid exactly and is refused, not rounded", (currencyCode, minorUnits) => {
  expect(() => toStripe({ currencyCode, minorUnits })).toThrow(ConnectError);
  try {
    toStripe({ currencyCode, minorUnits });
  } catch (error) {
    expect(reasonOf(ConnectError.from(error))).toBe("AMOUNT_NOT_PAYABLE");
  }
});

test("whatever Stripe takes it tells back as the same amount", () => {
  const currencies = fc.constantFrom("EUR", "USD", "JPY", "ISK", "UGX", "MGA", "BHD", "KWD", "HUF", "TWD", "XOF");
  fc.assert(
    fc.property(currencies, fc.bigInt({ min: 0n, max: 99_999_999n }), (currencyCode, tens) => {
      const amount = { currencyCode, minorUnits: tens * 100n };
      const { currency, units } = toStripe(amount);
      expect(fromStripe(currency, units)).toEqual(amount);
    }),
    { seed: SEED },
  );
});

test.each([
  ["eur", 1.5],
  ["eur", -1],
  ["eur", "100"],
  ["eur", null],
  ["eur", 2 ** 53],
  ["euro", 100],
  [null, 100],
  ["isk", 150],
])("%p %p is no amount", (currency, units) => {
  expect(fromStripe(currency, units)).toBeUndefined();
});
