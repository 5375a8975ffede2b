import { expect, test } from "bun:test";
import { gather } from "./gather.ts";

/** Work that ends when told to, and remembers its groups. */
function slowWork() {
  const groups: number[][] = [];
  const ends: (() => void)[] = [];
  return {
    groups,
    async work(items: number[]) {
      groups.push(items);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      await promise;
      return items.map((item) => item * 10);
    },
    async end() {
      ends.shift()?.();
      await Bun.sleep(0);
    },
  };
}

test("what comes at one moment goes together, up to the limit, and so does what waits meanwhile", async () => {
  const slow = slowWork();
  const add = gather(slow.work, { itemsMax: 3, atOnce: 1 });
  const results = [1, 2, 3, 4].map(add);
  await Bun.sleep(0);
  expect(slow.groups).toEqual([[1, 2, 3]]);
  results.push(add(5), add(6));
  await Bun.sleep(0);
  expect(slow.groups).toEqual([[1, 2, 3]]);
  for (let group = 0; group < 2; group++) await slow.end();
  expect(slow.groups).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  await slow.end();
  expect(await Promise.all(results)).toEqual([10, 20, 30, 40, 50, 60]);
});

test("no more groups are under way than allowed", async () => {
  const slow = slowWork();
  const add = gather(slow.work, { itemsMax: 1, atOnce: 2 });
  const results = Promise.all([1, 2, 3].map(add));
  await Bun.sleep(0);
  expect(slow.groups).toEqual([[1], [2]]);
  for (let group = 0; group < 3; group++) await slow.end();
  expect(await results).toEqual([10, 20, 30]);
});

test("two items of one key never meet in a group and keep their order", async () => {
  const slow = slowWork();
  const add = gather(slow.work, { itemsMax: 9, atOnce: 1, keyOf: (item) => (item > 1 ? String(item % 2) : undefined) });
  const results = Promise.all([1, 2, 4, 3, 6].map(add));
  for (let group = 0; group < 3; group++) {
    await Bun.sleep(0);
    await slow.end();
  }
  expect(slow.groups).toEqual([[1, 2, 3], [4], [6]]);
  expect(await results).toEqual([10, 20, 40, 30, 60]);
});

test("a group that fails is done again one by one: only the item at fault is rejected", async () => {
  const groups: number[][] = [];
  const work = async (items: number[]) => {
    groups.push(items);
    if (items.includes(3)) throw new Error("no threes");
    return items;
  };
  const add = gather(work, { itemsMax: 9, atOnce: 1 });
  const results = await Promise.allSettled([1, 2, 3, 4].map(add));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
  expect(groups).toEqual([[1, 2, 3, 4], [1], [2], [3], [4]]);
});

test("work that gives too few results is a bug, not a promise that never ends", async () => {
  const add = gather<number, number>(async () => [], { itemsMax: 9, atOnce: 1 });
  expect(add(1)).rejects.toThrow("expected 1 results of a group, found 0");
});
