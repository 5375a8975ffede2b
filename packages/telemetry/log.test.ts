import { expect, test } from "bun:test";
import { together } from "./log.ts";

test("lines of one turn are one write, in order, and none stays behind at the end", async () => {
  const written: string[] = [];
  const output = together((text) => written.push(text));
  for (const line of ["a\n", "b\n"]) output.put(line);
  expect(written).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  output.put("c\n");
  output.flush();
  await new Promise((resolve) => setImmediate(resolve));
  expect(written).toEqual(["a\nb\n", "c\n"]);
});
