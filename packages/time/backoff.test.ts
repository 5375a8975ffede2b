import { expect, test } from "bun:test";
import { backoffMs } from "./backoff.ts";

const PACE = { firstMs: 100, mostMs: 1_000 };

test("pauses double up to the most, and half of each is chance", () => {
  const pauses = (chance: number) => [1, 2, 3, 4, 5, 1_100].map((failures) => backoffMs(failures, PACE, chance));
  expect(pauses(0)).toEqual([50, 100, 200, 400, 500, 500]);
  expect(pauses(1)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});

test("two who failed together come back apart", () => {
  const pauses = new Set(Array.from({ length: 20 }, () => backoffMs(4, PACE)));
  expect(pauses.size).toBeGreaterThan(10);
  expect([...pauses].every((ms) => ms >= 400 && ms < 800)).toBe(true);
});
