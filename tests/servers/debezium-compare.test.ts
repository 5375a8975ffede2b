// The eyes of tests/servers/debezium.test.ts: each bug planted here is one that Debezium's configuration could have.
import { expect, test } from "bun:test";
import { countDeliveries, differences, type Lying } from "./debezium-compare.ts";

const KEYS = ["a", "b", "c"];
const EACH = 4;

function log(): Lying[] {
  return Array.from({ length: KEYS.length * EACH }, (_, index) => message(KEYS[index % KEYS.length] ?? "", index));
}

function message(key: string, index: number): Lying {
  const headers = { ce_id: `id ${index}`, ce_time: "2026-01-05T08:00:00.120Z", traceparent: "" };
  return {
    partition: key.charCodeAt(0) % 3,
    key: Buffer.from(key),
    value: Buffer.from([10, 255, 0, index]),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [Buffer.from(value)]])),
  };
}

/** Changes message number 4, the second of key b. */
const changing = (change: (it: Lying) => Lying) => (all: Lying[]) =>
  all.map((each, index) => (index === 4 ? change(each) : each));
const header = (name: string, ...values: Buffer[]) =>
  changing((it) => ({ ...it, headers: { ...it.headers, [name]: values } }));

test("the same messages are no difference, and keys may lie between each other in another order", () => {
  const sorted = log().toSorted((a, b) => Buffer.compare(a.key, b.key));
  expect(differences(log(), log())).toEqual([]);
  expect(differences(log(), sorted)).toEqual([]);
});

const BUGS: [string, (all: Lying[]) => Lying[], RegExp][] = [
  ["a changed byte", changing((it) => ({ ...it, value: Buffer.from([10, 255, 1, 4]) })), /^b #1: value is 0aff0004/],
  ["a byte too much", changing((it) => ({ ...it, value: Buffer.from([10, 255, 0, 4, 0]) })), /^b #1: value/],
  ["a fact that is lost", (all) => all.toSpliced(4, 1), /^b #1: value/],
  ["the last fact lost", (all) => all.slice(0, -1), /^c: 4 messages, there 3$/],
  ["a fact twice", (all) => [...all, ...all.slice(-1)], /^c: 4 messages, there 5$/],
  ["two facts of a key swapped", (all) => swapped(all, 4, 7), /^b #1: value/],
  [
    "a missing header",
    changing(({ headers: { traceparent, ...headers }, ...it }) => ({ ...it, headers })),
    /^b #1: header traceparent is "", there missing$/,
  ],
  ["a header too much", header("id", Buffer.from("id 4")), /^b #1: header id is missing, there "id 4"$/],
  ["a header twice", header("ce_id", Buffer.from("id 4"), Buffer.from("id 4")), /^b #1: header ce_id/],
  ["a header without a value", header("traceparent"), /^b #1: header traceparent/],
  ["microseconds", header("ce_time", Buffer.from("2026-01-05T08:00:00.120000Z")), /^b #1: header ce_time/],
  ["another partition", changing((it) => ({ ...it, partition: 0 })), /^b #1: partition is 2, there 0$/],
  ["a quoted key", changing((it) => ({ ...it, key: Buffer.from('"b"') })), /^b #1: value/],
];

test.each(BUGS)("%s is found", (_, bug, finding) => {
  const found = differences(log(), bug(log()));
  expect(found[0]).toMatch(finding);
});

test("a fact in the log of one side only is found from either side", () => {
  const more = [...log(), message("d", 99)];
  expect(differences(log(), more)).toEqual(["d: 0 messages, there 1"]);
  expect(differences(more, log())).toEqual(["d: 1 messages, there 0"]);
});

const CLAIMS = Array.from({ length: 6 }, (_, index) => ({ id: `${index}`, key: KEYS[index % 3] ?? "" }));

test("facts that come again are counted and are no fault", () => {
  const read = [...CLAIMS.slice(0, 4), ...CLAIMS.slice(2)];
  expect(countDeliveries(CLAIMS, read)).toEqual({ acknowledged: 6, read: 8, duplicates: 2, broken: [] });
});

test("a fact that never comes, and one that comes after a later one of its key, are found", () => {
  expect(countDeliveries(CLAIMS, CLAIMS.toSpliced(2, 1)).broken).toEqual(["2 of c is lost"]);
  expect(countDeliveries(CLAIMS, swapped(CLAIMS, 1, 4)).broken).toEqual(["4 of b comes too early"]);
});

function swapped<T>(all: T[], one: number, other: number): T[] {
  return all.map((each, index) => all[index === one ? other : index === other ? one : index] ?? each);
}
