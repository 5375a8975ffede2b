import type { Money } from "./gen/bodega/type/v1/money_pb.ts";

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));

/** Whether ISO 4217 has this code. How many digits its minor unit has follows from it: 2 of EUR, 0 of JPY, 3 of KWD. */
export function isCurrency(code: string): boolean {
  return CURRENCIES.has(code);
}

/** Making a format costs far more than using it; there are as many as currencies. */
const formats = new Map<string, { format: Intl.NumberFormat; digits: number }>();

/** An amount for people, exact to the last minor unit: €4.50 by its symbol, EUR 4.50 by its code, which is ASCII. */
export function moneyText(
  { currencyCode, minorUnits }: Pick<Money, "currencyCode" | "minorUnits">,
  by: "symbol" | "code" = "symbol",
): string {
  const { format, digits } = formatOf(currencyCode, by);
  const sign = minorUnits < 0n ? "-" : "";
  const units = (minorUnits < 0n ? -minorUnits : minorUnits).toString().padStart(digits + 1, "0");
  const whole = units.slice(0, units.length - digits);
  const decimal = digits === 0 ? `${sign}${whole}` : `${sign}${whole}.${units.slice(-digits)}`;
  // A decimal numeral by construction: formatted as text, it keeps every digit.
  return format.format(decimal as `${number}`).replaceAll("\u00a0", " ");
}

/** The amount that a numeral such as 4.50 stands for, or 4,50 where people write it so; undefined for what is none, or finer than the minor unit. */
export function minorUnitsOf(numeral: string, currencyCode: string): bigint | undefined {
  const { digits } = formatOf(currencyCode, "code");
  const [, whole = "", decimals = ""] = /^(\d{1,18})(?:[.,](\d+))?$/.exec(numeral) ?? [];
  if (whole === "" || decimals.length > digits) return undefined;
  return BigInt(whole + decimals.padEnd(digits, "0"));
}

function formatOf(currency: string, currencyDisplay: "symbol" | "code") {
  const key = `${currency} ${currencyDisplay}`;
  const known = formats.get(key);
  if (known) return known;
  const format = new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay });
  const made = { format, digits: format.resolvedOptions().maximumFractionDigits ?? 0 };
  formats.set(key, made);
  return made;
}
