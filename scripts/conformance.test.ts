import { expect, test } from "bun:test";
import { countsOf } from "./conformance.ts";

test("the suite's own counts are taken over", () => {
  expect(countsOf("Total cases: 600\n600 passed, 0 failed\n", 0)).toEqual({ passed: 600, failed: 0, skipped: 0 });
  expect(countsOf("FAILED: a\nTotal cases: 3\n2 passed, 1 failed\n", 1)).toEqual({ passed: 2, failed: 1, skipped: 0 });
});

test("a suite that was stopped, ran nothing or ended badly has failed", () => {
  expect(countsOf("Running 24 tests\n", 124).failed).toBe(1);
  expect(countsOf("0 passed, 0 failed\n", 0).failed).toBe(1);
  expect(countsOf("5 passed, 0 failed\n", 2).failed).toBe(1);
});
