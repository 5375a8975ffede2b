import { expect, test } from "bun:test";
import { keptFor } from "./kept.ts";

test("is made once for all who ask within its time, and again after it", async () => {
  let now = 0;
  let made = 0;
  const ask = keptFor(
    1_000,
    () => now,
    async () => ++made,
  );
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  now = 999;
  expect(await ask()).toBe(1);
  now = 1_000;
  expect(await ask()).toBe(2);
  // The clock is set back by hours.
  now = -7_200_000;
  expect(await ask()).toBe(3);
});

test("a failure is told to who waits for it, and not kept", async () => {
  let tries = 0;
  const ask = keptFor(
    1_000,
    () => 0,
    async () => {
      if (++tries === 1) throw new Error("away");
      return "there";
    },
  );
  await expect(Promise.all([ask(), ask()])).rejects.toThrow("away");
  expect(await ask()).toBe("there");
});
