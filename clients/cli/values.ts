// Values of the command line, told by their names when they are not what was expected.
import type { DescEnum, EnumShape } from "@bufbuild/protobuf";
import { isCurrency, minorUnitsOf } from "../../packages/api/money.ts";
import { Exit } from "./exit.ts";
import { Problem } from "./problem.ts";

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

export function wholeNumber(name: string, text: string, { min = INT64.min, max = INT64.max } = {}): bigint {
  if (/^-?\d{1,19}$/.test(text)) {
    const number = BigInt(text);
    if (number >= min && number <= max) return number;
  }
  throw new Problem(Exit.USAGE, `${name}: expected a whole number from ${min} to ${max}, found ${text}`);
}

/** 4.50, 4,50, or with its currency behind it: 4.50USD. Euros unless it says otherwise. */
export function amountOf(name: string, text: string) {
  const [, numeral = "", currencyCode = "EUR"] = /^([\d.,]+) ?([A-Z]{3})?$/.exec(text) ?? [];
  const minorUnits = isCurrency(currencyCode) ? minorUnitsOf(numeral, currencyCode) : undefined;
  if (minorUnits !== undefined) return { currencyCode, minorUnits };
  throw new Problem(Exit.USAGE, `${name}: expected an amount such as 4.50 or 4.50USD, found ${text}`);
}

/** A value of an enum by its name in small letters; unset for none. */
export function choice<E extends DescEnum>(name: string, schema: E, text: string | undefined): EnumShape<E> {
  if (text === undefined) return 0 as EnumShape<E>; // Every enum of ours has 0: unspecified.
  const values = schema.values.filter(({ number }) => number > 0);
  const found = values.find(({ localName }) => localName === text.toUpperCase().replaceAll("-", "_"));
  if (found) return found.number as EnumShape<E>; // The schema is its own.
  const known = values.map(({ localName }) => localName.toLowerCase().replaceAll("_", "-")).join(", ");
  throw new Problem(Exit.USAGE, `${name}: expected ${known}, found ${text}`);
}
