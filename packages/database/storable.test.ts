import { expect, test } from "bun:test";
import { storable } from "./storable.ts";

test.each([
  ["plain", "plain"],
  ["a\0b\0", "a\uFFFDb\uFFFD"],
  ["half \ud83d pair", "half \uFFFD pai"],
  ["12345678é", "12345678é"],
  ["123456789\u{1F354}", "123456789\uFFFD"],
  ["123456789012", "1234567890"],
])("%j becomes %j", (text, stored) => {
  expect(storable(text, 10)).toBe(stored);
});
