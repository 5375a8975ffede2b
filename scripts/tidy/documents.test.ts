import { expect, test } from "bun:test";
import { ownFiles } from "../tree.ts";
import { decisions } from "./documents.ts";

const record = (name: string, text: string) => ({ path: `docs/decisions/${name}`, text });
const FIRST = record("0001-one.md", "# 0001. One\n");

test.each([
  [
    "two records of one number",
    record("0001-other.md", "# 0001. Other\n"),
    "has the number of docs/decisions/0001-one.md",
  ],
  ["a name without a number", record("notes.md", "# Notes\n"), "is not named NNNN-title.md"],
  ["a heading with another number", record("0002-two.md", "# 0001. Two\n"), 'expected a heading "# 0002", found 0001'],
  ["a heading without a number", record("0002-two.md", "# Two\n"), "found none"],
])("of decisions, %s is found", (_, planted, says) => {
  expect(decisions([FIRST, planted])).toEqual([{ path: planted.path, line: 1, says: expect.stringContaining(says) }]);
  expect(decisions([FIRST, record("0002-two.md", "# 0002. Two\n"), { path: "docs/a.md", text: "" }])).toEqual([]);
});

test("every decision of the tree has a number of its own", async () => {
  const found = decisions(await ownFiles());
  expect(found.map(({ path, says }) => `${path} ${says}`)).toEqual([]);
});
