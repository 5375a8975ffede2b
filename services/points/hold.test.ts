import { describe, expect, test } from "bun:test";
import { pointsFor, type Status, VERDICTS, type Verdict } from "./hold.ts";
import { MOVEMENTS } from "./ledger.ts";

describe("every state of a hold has an answer to every verdict", () => {
  const table: [Status, commit: string, abort: string, back: string][] = [
    ["HELD", "committed, COMMITTED", "released, RELEASED", "impossible"],
    ["COMMITTED", "nothing", "impossible", "returned, RETURNED"],
    ["RELEASED", "impossible", "nothing", "impossible"],
    ["RETURNED", "nothing", "impossible", "nothing"],
  ];
  const words = (verdict: Verdict, status: Status) => {
    const move = VERDICTS[verdict][status];
    return move === "impossible" ? move : move ? `${move.books}, ${move.to}` : "nothing";
  };
  test.each(table)("%s: commit %s, abort %s, return %s", (status, commit, abort, back) => {
    expect(words("commit", status)).toBe(commit);
    expect(words("abort", status)).toBe(abort);
    expect(words("return", status)).toBe(back);
  });
  test("the table is complete", () => {
    for (const moves of Object.values(VERDICTS))
      expect(table.map(([status]) => status).sort()).toEqual((Object.keys(moves) as Status[]).sort());
  });
});

test("whatever way a hold goes, nothing of it stays held, and what is spent is what was committed", () => {
  const ways = [["committed"], ["released"], ["committed", "returned"]] as const;
  const held = ways.map((way) => sum(["held", ...way], "held"));
  expect(held).toEqual([0, 0, 0]);
  expect(ways.map((way) => sum(["held", ...way], "spent"))).toEqual([1, 0, 0]);
  expect(ways.map((way) => sum(["held", ...way], "available"))).toEqual([-1, 0, 0]);
});

function sum(kinds: (keyof typeof MOVEMENTS)[], side: string): number {
  return kinds.reduce((total, kind) => {
    const { from, to } = MOVEMENTS[kind];
    return total + Number(to === side) - Number(from === side);
  }, 0);
}

test("an order earns one point for each full hundred minor units", () => {
  expect([0n, 99n, 100n, 450n, 10n ** 15n].map(pointsFor)).toEqual([0n, 0n, 1n, 4n, 10n ** 13n]);
});
