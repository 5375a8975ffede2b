import { describe, expect, test } from "bun:test";
import { ConnectError } from "@connectrpc/connect";
import { type Line, mergeLines, type Status, WHEN_CANCELLED, WHEN_PAID } from "./reservation.ts";

const A = "019b0000-0000-7000-8000-00000000000a";
const B = "019b0000-0000-7000-8000-00000000000b";

describe("every state of a reservation has an answer to every fact", () => {
  const table: [Status, cancelled: string, paid: string][] = [
    ["RESERVED", "released, RELEASED", "committed, COMMITTED"],
    ["COMMITTED", "returned, RELEASED", "nothing"],
    ["RELEASED", "nothing", "nothing"],
    ["REJECTED", "nothing", "impossible"],
  ];
  const words = (move: (typeof WHEN_PAID)[Status]) =>
    move === "impossible" ? move : move ? `${move.books}, ${move.to}` : "nothing";
  test.each(table)("%s: cancelled %s, paid %s", (status, cancelled, paid) => {
    expect(words(WHEN_CANCELLED[status])).toBe(cancelled);
    expect(words(WHEN_PAID[status])).toBe(paid);
  });
  test("the table is complete", () => {
    expect(table.map(([status]) => status).sort()).toEqual((Object.keys(WHEN_PAID) as Status[]).sort());
  });
});

test("lines of one product count together, however it is written", () => {
  const lines = [line(A, 2), line(B, 1), line(A.toUpperCase(), 3)];
  expect(mergeLines(lines)).toEqual([line(A, 5), line(B, 1)]);
});

test.each<[string, Line[]]>([
  ["no lines", []],
  ["no units", [line(A, 0)]],
  ["less than none", [line(A, 2), line(B, -1)]],
  ["no product id", [line("burger", 1)]],
])("an order with %s can never be reserved", (_, lines) => {
  expect(() => mergeLines(lines)).toThrow(ConnectError);
});

function line(productId: string, quantity: number): Line {
  return { productId, quantity };
}
