import { Code } from "@connectrpc/connect";
import { refused } from "../../../packages/service/errors.ts";
import type { Amount } from "./provider.ts";

/**
 * Where Stripe counts in other units than ISO 4217, by powers of ten: the króna and the Ugandan shilling have no smaller unit, but Stripe wants
 * hundredths of them; the ariary is counted whole (docs.stripe.com/currencies, "Special cases" and "Zero-decimal currencies").
 */
const SHIFT: Record<string, number> = { ISK: 2, UGX: 2, MGA: -2 };
/** Stripe counts thousandths of these, but only tens of them can be paid. */
const LAST_DIGIT_IS_ZERO = new Set(["BHD", "JOD", "KWD", "OMR", "TND"]);

/** As Stripe counts it. Refuses what cannot be paid exactly: rounding would make the books differ. */
export function toStripe({ currencyCode, minorUnits }: Amount): { currency: string; units: number } {
  const shift = SHIFT[currencyCode] ?? 0;
  const step = LAST_DIGIT_IS_ZERO.has(currencyCode) ? 10n : 10n ** BigInt(Math.max(-shift, 0));
  if (minorUnits % step !== 0n)
    throw refused(
      Code.FailedPrecondition,
      "AMOUNT_NOT_PAYABLE",
      `Stripe takes ${currencyCode} in steps of ${step} minor units, found ${minorUnits}`,
    );
  const units = shift < 0 ? minorUnits / step : minorUnits * 10n ** BigInt(shift);
  if (units > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error(`${units} ${currencyCode} is more than a number holds`);
  return { currency: currencyCode.toLowerCase(), units: Number(units) };
}

/** From Stripe's count; undefined when it is none, or between two minor units. */
export function fromStripe(currency: unknown, units: unknown): Amount | undefined {
  if (typeof currency !== "string" || !/^[a-z]{3}$/i.test(currency)) return undefined;
  if (typeof units !== "number" || !Number.isSafeInteger(units) || units < 0) return undefined;
  const currencyCode = currency.toUpperCase();
  const shift = SHIFT[currencyCode] ?? 0;
  const step = 10n ** BigInt(Math.max(shift, 0));
  if (BigInt(units) % step !== 0n) return undefined;
  const minorUnits = shift < 0 ? BigInt(units) * 10n ** BigInt(-shift) : BigInt(units) / step;
  return { currencyCode, minorUnits };
}
