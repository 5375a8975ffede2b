import { Code } from "@connectrpc/connect";
import { refused } from "../../packages/service/errors.ts";

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Two numbers, and what they come to. */
export interface Sum {
  sumId: string;
  a: bigint;
  b: bigint;
  sum: bigint;
  /** Which instance added them up. */
  instance: string;
  calculatedAt: Date;
}

/** Refuses a sum that 64 bits do not hold. */
export function add(a: bigint, b: bigint): bigint {
  const sum = a + b;
  if (sum > INT64_MAX || sum < INT64_MIN)
    throw refused(
      Code.OutOfRange,
      "SUM_OUT_OF_RANGE",
      `expected a sum from ${INT64_MIN} to ${INT64_MAX}, found ${sum} = ${a} + ${b}`,
    );
  return sum;
}
