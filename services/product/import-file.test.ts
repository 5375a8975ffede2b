import { expect, test } from "bun:test";
import { assert, asyncProperty, constantFrom, array as listOf } from "fast-check";
import { SEED } from "../../tests/kit/seed.ts";
import { FILE_ROWS_MAX } from "./import.ts";
import { readFile, UnreadableFile } from "./import-file.ts";

const HEADER = "sku,name,description,price,currency,collections,prepared,initial_stock\n";

async function read(text: string | Uint8Array, format: "CSV" | "JSON_LINES" = "CSV") {
  const rows = await Array.fromAsync(readFile(format, typeof text === "string" ? Buffer.from(text) : text));
  return rows
    .toSorted((a, b) => a.line - b.line)
    .map(({ line, json, problem }) => ({ line, ...(json && { row: JSON.parse(json) }), problem }));
}

const unreadable = (text: string | Uint8Array, format?: "CSV" | "JSON_LINES") =>
  read(text, format).then(
    () => "it could be read",
    (error: unknown) => (error instanceof UnreadableFile ? error.message : String(error)),
  );

test("a row of CSV is what CreateProduct is asked", async () => {
  expect(await read(`${HEADER}SOUP,Soup,Of the day,4.50,EUR,menu|starters,true,12\n`)).toEqual([
    {
      line: 2,
      row: {
        sku: "SOUP",
        name: "Soup",
        description: "Of the day",
        price: { currencyCode: "EUR", minorUnits: "450" },
        collections: ["menu", "starters"],
        prepared: true,
        initialStock: 12,
      },
      problem: null,
    },
  ]);
});

test("a mark at the beginning, CRLF, quotes, empty lines, columns in any order and other separators are read", async () => {
  const lines = [
    '\uFEFFName;"SKU";currency;price',
    '"Soup; ""hot""";A;JPY;450',
    "",
    '"two\r\nlines";B;KWD;0,125',
    "three;C;EUR;3",
  ];
  expect(await read(lines.join("\r\n"))).toMatchObject([
    { line: 2, row: { name: 'Soup; "hot"', sku: "A", price: { currencyCode: "JPY", minorUnits: "450" } } },
    { line: 4, row: { name: "two\nlines", price: { currencyCode: "KWD", minorUnits: "125" } } },
    { line: 6, row: { sku: "C", price: { minorUnits: "300" } }, problem: null },
  ]);
  expect(await read("sku\tname\tprice\tcurrency\rA\tx\t1\tEUR")).toMatchObject([{ line: 2, problem: null }]);
});

test("a row that is wrongly written is named with its line and with what was expected, and its neighbours are read", async () => {
  const rows = await read(
    `${HEADER}A,x,,1.234,EUR,,ja,\nB,x,,1,XYZ,,,-1\nC,x\nD,5" pipe,,1,EUR,,,\nF,x,,,EUR,,,\nG,x,,1,EUR,,,\n`,
  );
  expect(rows.map(({ line, problem }) => [line, problem])).toEqual([
    [2, "price: expected an amount of EUR such as 4.50, found 1.234; prepared: expected true or false, found ja"],
    [
      3,
      "currency: expected a currency of ISO 4217 such as EUR, found XYZ; initial_stock: expected a whole number, found -1",
    ],
    [4, "expected 8 columns, found 2"],
    [5, "quotes: expected quotes around the whole cell, those in it doubled"],
    [6, "price: expected an amount of EUR such as 4.50, found nothing"],
    [7, null],
  ]);
});

test("a quote that is never closed is named, and what is before it is read", async () => {
  const rows = await read(`${HEADER}A,x,,1,EUR,,,\nB,"open,,1,EUR,,,\nC,x,,1,EUR,,,\n`);
  expect(rows.map(({ line, problem }) => [line, problem])).toEqual([
    [2, null],
    [3, "quotes: expected a closing quote before the end of the file"],
  ]);
});

test("lines of JSON are left for CreateProduct to judge, each with its number", async () => {
  expect(await read('{"sku":"A"}\r\n\n{"sku":"B"}', "JSON_LINES")).toEqual([
    { line: 1, row: { sku: "A" }, problem: null },
    { line: 3, row: { sku: "B" }, problem: null },
  ]);
  expect(await read('{"sku":"\0"}', "JSON_LINES")).toEqual([
    { line: 1, problem: "must not contain the character U+0000" },
  ]);
});

test("a file that is none as a whole is refused in a sentence", async () => {
  expect(await unreadable("")).toStartWith("expected a line of column names");
  expect(await unreadable("\n\n", "JSON_LINES")).toBe("expected at least one product, found none");
  expect(await unreadable(HEADER)).toBe("expected at least one product, found none");
  expect(await unreadable("sku,name,colour\nA,x,red\n")).toBe(
    "line 1: expected the columns sku, name, price, currency and if wanted description, collections, prepared, initial_stock, each once, found sku, name, colour",
  );
  expect(await unreadable("sku,name,price,currency,sku\n")).toContain("each once, found");
  expect(await unreadable(new Uint8Array([0xff, 0xfe, 0x73, 0x00]))).toStartWith("expected text in UTF-8");
  expect(await unreadable("{}\n".repeat(FILE_ROWS_MAX + 1), "JSON_LINES")).toBe(
    "expected at most 20000 rows, found more: split the file",
  );
  expect(await read("{}\n".repeat(FILE_ROWS_MAX), "JSON_LINES")).toHaveLength(FILE_ROWS_MAX);
});

test("whatever is in a file, no two of its rows are on one line", async () => {
  const piece = constantFrom("a", ",", '"', '""', "\n", "\r\n", " ", "1", "EUR", 'A,"b\nc",1,EUR\n', "A,b,1,EUR\n");
  await assert(
    asyncProperty(listOf(piece, { maxLength: 40 }), async (pieces) => {
      const text = `sku,name,price,currency\n${pieces.join("")}`;
      const rows = await read(text).catch((error: unknown) => {
        if (error instanceof UnreadableFile) return [];
        throw error;
      });
      const lines = rows.map(({ line }) => line);
      expect(new Set(lines).size).toBe(lines.length);
      for (const line of lines) expect(line).toBeWithin(2, text.split("\n").length + 1);
    }),
    { numRuns: 300, seed: SEED },
  );
});
