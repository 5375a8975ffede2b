import { expect, test } from "bun:test";
import { brokenPromises, type Claim } from "./claims.ts";

const sent: Claim[] = ["a1", "b1", "a2", "b2", "a3"].map((id) => ({ id, key: id.slice(0, 1) }));
const [a1, b1, a2, b2, a3] = sent as [Claim, Claim, Claim, Claim, Claim];

test("a log with all facts in their order per key keeps its promises, whatever is doubled and in which order the keys come", () => {
  expect(brokenPromises(sent, [b1, a1, b2, a2, a1, a2, a3, b1])).toEqual([]);
});

test("a log that lacks an acknowledged fact is told from a whole one", () => {
  expect(brokenPromises(sent, [a1, b1, a2, a3])).toEqual(["b2 of b is lost"]);
});

test("a log whose first deliveries of a key changed places is told from a whole one", () => {
  expect(brokenPromises(sent, [a1, b1, a3, b2, a2, a3])).toEqual(["a3 of a comes too early"]);
});
