import { expect, test } from "bun:test";
import { contractsIn } from "./contracts.ts";

const SAID = `
packages/locks/redis.test.ts:
(pass) one Redis > locks × redis: a lock has one holder [12.01ms]
(pass) locks × embedded: a lock has one holder
(fail) locks × redis: a budget is spent [3.00ms]
(skip) locks × redis: a frozen one (redis-server is not installed)
(pass) 2 × 2 are four
(pass) nothing of the kind [1.00ms]

1 tests skipped:
(skip) locks × redis: a frozen one (redis-server is not installed)

1 tests failed:
(fail) locks × redis: a budget is spent [3.00ms]
`;

test("each pair of contract and adapter is one line: kept, broken, not asked and why", () => {
  expect(contractsIn(SAID).split("\n")).toEqual([
    "contract  adapter   kept  broken  not asked",
    `--------  --------  ----  ------  ${"-".repeat("1: redis-server is not installed".length)}`,
    "locks     embedded  1     0       0",
    "locks     redis     1     1       1: redis-server is not installed",
  ]);
});

test("a run without contracts has no table", () => {
  expect(contractsIn("(pass) something else [1.00ms]")).toBe("");
});
