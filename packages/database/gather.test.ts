import { expect, test } from "bun:test";
import { gather, isOverload } from "./gather.ts";

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

test("more than may wait are refused at once, and the others are served", async () => {
  const slow = slowWork();
  const add = gather(slow.work, { itemsMax: 1, atOnce: 1, waitingMax: 2 });
  const first = add(1);
  await Bun.sleep(0);
  const others = [2, 3].map(add);
  const refusal = await add(4).catch((error: unknown) => error);
  expect(isOverload(refusal)).toBe(true);
  for (let group = 0; group < 3; group++) await slow.end();
  expect(await Promise.all([first, ...others])).toEqual([10, 20, 30]);
});

test("who waits too long behind a slow group is refused without having been begun", async () => {
  const slow = slowWork();
  const add = gather(slow.work, { itemsMax: 1, atOnce: 1, waitMsMax: 20 });
  const first = add(1);
  await Bun.sleep(0);
  expect(isOverload(await add(2).catch((error: unknown) => error))).toBe(true);
  await slow.end();
  expect(await first).toBe(10);
  const third = add(3);
  await Bun.sleep(0);
  await slow.end();
  expect(await third).toBe(30);
  expect(slow.groups).toEqual([[1], [3]]);
});

test("a failure that is everybody's refuses the group and all who wait, and nobody is tried alone", async () => {
  const groups: number[][] = [];
  let away = true;
  const work = async (items: number[]) => {
    groups.push(items);
    await Bun.sleep(0);
    if (away) throw new Error("away");
    return items;
  };
  const add = gather(work, { itemsMax: 2, atOnce: 1, isEverybodys: (error) => String(error).includes("away") });
  const results = await Promise.allSettled([1, 2, 3, 4, 5].map(add));
  expect(results.map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
  expect(groups).toEqual([[1, 2]]);
  away = false;
  expect(await add(6)).toBe(6);
});
