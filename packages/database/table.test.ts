import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import type { Database } from "./database.ts";
import { insertRows, type RowOf, rowsOf, table } from "./table.ts";

setDefaultTimeout(30_000);

const THINGS = table("things", {
  id: "uuid",
  name: "text",
  small: "smallint",
  whole: "integer",
  big: "bigint",
  yes: "boolean",
  at: "timestamptz",
  day: "date",
  bytes: "bytea",
  json: "json",
  jsonb: "jsonb",
  words: "text[]",
});
type Thing = RowOf<(typeof THINGS)["columns"]>;

const FULL: Thing = {
  id: "019b0000-0000-7000-8000-000000000001",
  name: "plain",
  small: -32_768,
  whole: 2_147_483_647,
  big: 9_223_372_036_854_775_807n,
  yes: true,
  at: new Date("2026-01-05T08:00:00.123Z"),
  day: "2026-01-31",
  bytes: Buffer.from([0, 34, 92, 255]),
  json: { name: 'a "quoted" \\ thing', rows: [["1", null]] },
  jsonb: [1, { deep: ["}", "{"] }],
  words: ["one", 'two, "three"', "\\", "", "NULL", "{four}"],
};
const EMPTY = Object.fromEntries(Object.keys(FULL).map((name) => [name, null])) as unknown as Thing;

let database: Database;
beforeAll(async () => {
  ({ database } = await testDatabase());
  await database.sql`
    create table things (id uuid, name text, small smallint, whole int, big bigint, yes boolean, at timestamptz, day date, bytes bytea,
      json json, jsonb jsonb, words text[])`;
});
afterAll(() => database.close());

async function writtenAndRead(rows: Thing[]): Promise<Thing[]> {
  await database.sql`truncate things`;
  await insertRows(database.sql, THINGS, rows);
  const read = await database.sql<(Thing & { day: string })[]>`select *, day::text as day from things`;
  return read.map((row) => ({ ...row }));
}

test("a value of each type comes back as it was, and so does none", async () => {
  expect(await writtenAndRead([FULL, EMPTY, FULL])).toEqual([FULL, EMPTY, FULL]);
});

test.each([
  ["a comma, and braces", "a,b},{c"],
  ["quotes", `"it's"`],
  ["backslashes", `\\ \\\\ \\" \\x41 \\n`],
  ["the word for none", "NULL"],
  ["nothing", ""],
  ["blanks at both ends", "  a  "],
  ["lines", "first\nsecond\r\n\tthird"],
  ["what is not ASCII", "Käse 🧀 \u200b"],
  ["what looks like a parameter", "$1 %s {}"],
  ["SQL", "'); drop table things; --"],
])("text with %s stays one value", async (_, text) => {
  const rows = [
    { ...EMPTY, name: text, words: [text, text], json: { [text]: text } },
    { ...EMPTY, name: "next" },
  ];
  expect(await writtenAndRead(rows)).toEqual(rows);
});

test("no rows are no rows", async () => {
  expect(await writtenAndRead([])).toEqual([]);
});

test("a statement reads from rows in their order, whatever table they are of", async () => {
  const named = table("things", { name: "text", words: "text[]" });
  const rows = Array.from({ length: 1_000 }, (_, place) => ({ name: `${place}`, words: [`w${place}`, "and"] }));
  const read = await database.sql<{ name: string; words: string[] }[]>`
    select given.name, given.words from ${rowsOf(database.sql, named, rows)} as given where given.name <> ${"7"}`;
  expect(read.map((row) => ({ ...row }))).toEqual(rows.filter(({ name }) => name !== "7"));
});

test("a row must have every column, each of its type", () => {
  const named = table("things", { name: "text", big: "bigint" });
  const check = (rows: RowOf<(typeof named)["columns"]>[]) => rows;
  // @ts-expect-error A column is missing.
  check([{ name: "a" }]);
  // @ts-expect-error A number is no text.
  check([{ name: 1, big: 1n }]);
  // @ts-expect-error There is no such column.
  check([{ name: "a", big: 1n, bigger: 2n }]);
  expect(check([{ name: "a", big: null }])).toHaveLength(1);
});
