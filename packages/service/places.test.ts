import { expect, test } from "bun:test";
import type { Sql } from "../database/database.ts";
import { BUCKETS, bucketOf, bucketOfCustomer } from "../time/ids.ts";
import { byPlace, listPlaces, onePlace, type Place, type Places } from "./places.ts";

// Two databases that hold half of the buckets each. Nothing is asked of them here.
const place = (name: string): Place & { name: string } => ({
  name,
  sql: (() => name) as unknown as Sql,
  transact: () => Promise.reject(new Error("nothing is written here")),
});
const [low, high] = [place("low"), place("high")];
const half = (bucket: number) => (bucket < BUCKETS / 2 ? low : high);
const two: Places = {
  at: (id) => half(bucketOf(id)),
  atCustomer: (id) => half(bucketOfCustomer(id)),
  everywhere: () => [low, high],
};

const inBucket = (bucket: number, n: number) =>
  `01900000-0000-7000-8${(bucket << 6).toString(16).padStart(3, "0")}-${String(n).padStart(12, "0")}`;
const messages = [3, 60, 3, 40, 12].map((bucket, n) => ({ key: inBucket(bucket, n) }));

test("messages are taken by the place of their keys, in their order", () => {
  const [a, b, c, d, e] = messages;
  expect(Array.from(byPlace(two, messages), ([at, group]) => [at, group])).toEqual([
    [low, [a, c, e]],
    [high, [b, d]],
  ] as never);
});

test("what belongs to no bucket is taken where it says", () => {
  expect(byPlace(two, messages, () => low).get(low)).toEqual(messages);
});

test("one database is one place, whatever is asked, and a batch stays what it was", () => {
  const app = onePlace(low);
  expect([app.at("no id"), app.atCustomer(""), ...app.everywhere()]).toEqual([app, app, app]);
  expect(byPlace(app, messages).get(app)).toBe(messages);
});

test("what several places list is one list, the newest first, and no longer than it was asked for", async () => {
  const rows = new Map([
    [low.sql, ["9", "5", "1"]],
    [high.sql, ["8", "7", "2"]],
  ]);
  const list = (sql: Sql) => Promise.resolve(rows.get(sql) ?? []);
  expect(await listPlaces([low, high], list, (id) => id, 4)).toEqual(["9", "8", "7", "5"]);
  expect(await listPlaces([high], list, (id) => id, 4)).toEqual(["8", "7", "2"]);
});
