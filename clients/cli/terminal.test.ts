import { expect, test } from "bun:test";
import { clean, openTerminal, type Stream } from "./terminal.ts";

function paper(): Stream & { text: string } {
  return {
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

test("columns stand under their names, numbers to the right, wide letters counted as they are seen", () => {
  const page = paper();
  openTerminal(page, false).table(
    ["WHAT", "HOW MANY"],
    [
      ["日本", 7],
      ["ab", 1200n],
    ],
  );
  expect(page.text).toBe("WHAT  HOW MANY\n日本         7\nab        1200\n");
});

test("a table without rows is its names", () => {
  const page = paper();
  openTerminal(page, false).table(["A", "B"], []);
  expect(page.text).toBe("A  B\n");
});

test.each([
  ["the escape that moves and colours", "\u001b[2J", "\\u001b[2J"],
  ["the one-byte form of it", "\u009b2J", "\\u009b2J"],
  ["what rings", "\u0007", "\\u0007"],
  ["what turns text around", "\u202eabc", "\\u202eabc"],
  ["what nobody sees", "a\u200bb", "a\\u200bb"],
  ["a line break in a cell", "a\nb", "a\\u000ab"],
  ["nothing else", "Ä 日本 🍔 € \\", "Ä 日本 🍔 € \\"],
])("made visible: %s", (_, text, seen) => expect(clean(text)).toBe(seen));

test("lines stay where a text may have some", () => expect(clean("a\nb\r", true)).toBe("a\nb\\u000d"));

test("a table made of hostile cells has no sign that a terminal obeys, and its lines are its rows", () => {
  const page = paper();
  openTerminal(page, false).table(["A"], [["x\u001b[31m\ny"]]);
  expect(page.text).toBe("A\nx\\u001b[31m\\u000ay\n");
});

test("colours are for who has some", () => {
  expect(openTerminal(paper(), false).tone("bad", "no")).toBe("no");
  expect(openTerminal(paper(), true).tone("bad", "no")).not.toBe("no");
});
