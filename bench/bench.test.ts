import { expect, test } from "bun:test";
import { readArguments } from "./bench.ts";
import {
  bar,
  disagreement,
  median,
  medianRun,
  percentile,
  type Run,
  sentenceOf,
  settledRateOf,
  table,
  verdictOf,
} from "./figures.ts";
import { costOf } from "./listeners.ts";
import { cpuOf } from "./processes.ts";

const run = (done: number): Run => ({
  clients: 16,
  done,
  seconds: 2,
  p50Ms: done / 10,
  p99Ms: done,
  cpuMicros: { server: 3 * done, postgres: 2 * done, load: done },
  settleSeconds: 2,
});

test("a percentile is a value that was measured", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect(percentile(hundred, 50)).toBe(50);
  expect(percentile(hundred, 99)).toBe(99);
  expect(percentile([7], 99)).toBe(7);
  expect(percentile([], 50)).toBeNaN();
});

test("a median does not care in which order rounds came, nor about one that went wrong", () => {
  expect(median([3, 1000, 1])).toBe(3);
  expect(medianRun([run(100), run(9), run(120)])).toEqual(run(100));
});

test("the settled rate counts the time that reactions needed", () => {
  expect(settledRateOf(run(100))).toBe(25);
});

test("a gate is met from its own ratio on", () => {
  expect(verdictOf(50, 100, 0.5)).toEqual({ ratio: 0.5, gate: 0.5, met: true });
  expect(verdictOf(49, 100, 0.5).met).toBe(false);
});

test("a bar is met up to its figure, and not by what was never measured", () => {
  expect([bar("a", 4, 4), bar("a", 4.01, 4), bar("a", Number.NaN, 4)].map(({ met }) => met)).toEqual([
    true,
    false,
    false,
  ]);
  expect(sentenceOf(bar("p99 ms", 100.26, 100))).toBe("MISSED: p99 ms: 100.3, at most 100");
});

test("what services cost an order is the CPU that comes with them, and its share of the CPU without", () => {
  expect(costOf(run(100), run(110))).toEqual({ server: 30, postgres: 20, share: 0.1 });
});

test("counts that differ are told by name", () => {
  expect(disagreement({ acknowledged: 3, stored: 3 })).toBeUndefined();
  expect(disagreement({ acknowledged: 3, stored: 2 })).toBe("acknowledged 3, stored 2");
});

test("a table has its numbers under their titles", () => {
  expect(
    table(
      ["what", "n"],
      [
        ["a", "100"],
        ["long one", "2"],
      ],
    ),
  ).toBe("what        n\n--------  ---\na         100\nlong one    2");
});

test("arguments are suites and switches; anything else is refused", () => {
  expect(readArguments(["place-order", "--quick", "--json", "x.json"])).toEqual({
    suites: ["place-order"],
    quick: true,
    servers: false,
    tracing: false,
    listeners: false,
    json: "x.json",
  });
  expect(() => readArguments(["place-orders"])).toThrow("found place-orders");
  expect(() => readArguments(["--json"])).toThrow("wants a file name");
});

test.skipIf(process.platform !== "linux")(
  "the CPU of a process grows while it works, and one that is gone has none",
  () => {
    const before = cpuOf(process.pid);
    for (let round = 0; cpuOf(process.pid) === before; round++) Bun.hash(String(round).repeat(10_000));
    expect(cpuOf(process.pid)).toBeGreaterThan(before);
    expect(cpuOf(2 ** 30)).toBe(0);
  },
);
