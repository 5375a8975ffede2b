import { expect, test } from "bun:test";
import { jsonLine, readableLine, together } from "./log.ts";

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

test("what strangers said is shown, not carried out: no escape, line break or bidirectional mark reaches a line raw", () => {
  const evil = "a\u001b[2J\u009b1A\r\nfake line\u202eb\u2028c\u007f";
  const line = { time: "2026-01-05T08:00:00.000Z", level: "info", event: "x", said: evil } as const;
  for (const text of [readableLine(line), jsonLine(line)]) {
    expect(text).toEndWith("\n");
    expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
  }
  expect(readableLine(line)).toContain("a\\u001b[2J\\u009b1A\\u000d\\u000afake line");
  expect(JSON.parse(jsonLine(line))).toMatchObject({ said: evil });
});
