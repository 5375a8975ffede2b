import { expect, test } from "bun:test";
import { gcra } from "./embedded.ts";

test("a fresh budget is whole to the millisecond, whatever fraction of one it is asked at", () => {
  for (let i = 0; i < 10_000; i++) {
    const now = 1_000 + i * 7.123456789;
    const first = gcra(now, 0, { perSecond: 1, burst: 1 });
    expect(first.verdict).toEqual({ allowed: true, remaining: 0, retryAfterMs: 0, resetAfterMs: 1_000 });
    const second = gcra(now, first.arrival, { perSecond: 1, burst: 1 });
    expect(second.verdict).toEqual({ allowed: false, remaining: 0, retryAfterMs: 1_000, resetAfterMs: 1_000 });
  }
});
