import { Readable } from "node:stream";
import { type Info, parse } from "csv-parse";
import { isCurrency, minorUnitsOf } from "../../packages/api/money.ts";
import { FILE_ROWS_MAX, type Import } from "./import.ts";

/** A row of a file: a CreateProductRequest in protobuf's JSON, still to be looked at, or what is wrong with how it is written. */
export interface FileRow {
  line: number;
  json: string;
  problem: string | null;
}

/** Why a file as a whole cannot be read, in a sentence for whoever made it. */
export class UnreadableFile extends Error {}

const CHUNK_CHARS = 65_536;
const COLUMNS = [
  "sku",
  "name",
  "description",
  "price",
  "currency",
  "collections",
  "prepared",
  "initial_stock",
] as const;
const NEEDED = ["sku", "name", "price", "currency"] as const;
const DELIMITERS = [",", ";", "\t"];

type Column = (typeof COLUMNS)[number];

/** All rows of a file; empty lines are none. Those whose quotes are wrong may come before their turn. */
export async function* readFile(format: Import["format"], content: Uint8Array): AsyncGenerator<FileRow> {
  const lines = new Set<number>();
  const text = textOf(content);
  for await (const row of format === "CSV" ? readCsv(text) : readJsonLines(text)) {
    // One line can be wrong in more ways than one.
    if (lines.has(row.line)) continue;
    lines.add(row.line);
    if (lines.size > FILE_ROWS_MAX)
      throw new UnreadableFile(`expected at most ${FILE_ROWS_MAX} rows, found more: split the file`);
    yield row;
  }
  if (lines.size === 0) throw new UnreadableFile("expected at least one product, found none");
}

/** Without the mark that some programs begin a file with, and with one kind of line end. */
function textOf(content: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content).replace(/\r\n?/g, "\n");
  } catch {
    throw new UnreadableFile("expected text in UTF-8, found bytes that are none: save the file as UTF-8");
  }
}

function* readJsonLines(text: string): Generator<FileRow> {
  let line = 0;
  for (const json of text.split("\n")) {
    line += 1;
    if (json.includes("\0")) yield { line, json: "", problem: "must not contain the character U+0000" };
    else if (json.trim() !== "") yield { line, json, problem: null };
  }
}

async function* readCsv(text: string): AsyncGenerator<FileRow> {
  const skipped: FileRow[] = [];
  const linesTotal = text.split("\n").length;
  let lastLine = 1;
  const parser = parse({
    delimiter: delimiterOf(text),
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_record: (record, { lines }) => {
      lastLine = lines;
      return record;
    },
    on_skip: (error) => {
      const open = error?.code === "CSV_QUOTE_NOT_CLOSED";
      const line = open ? Math.min(lastLine + 1, linesTotal) : Number(error?.["lines"]);
      const problem = open
        ? "expected a closing quote before the end of the file"
        : "expected quotes around the whole cell, those in it doubled";
      skipped.push({ line, json: "", problem: `quotes: ${problem}` });
      lastLine = line;
      return undefined;
    },
  });
  let columns: Column[] | undefined;
  for await (const each of Readable.from(chunksOf(text)).pipe(parser)) {
    const { record, info }: { record: string[]; info: Info } = each; // Its shape with `info`.
    const line = info.lines - record.join("").split("\n").length + 1;
    yield* skipped.splice(0);
    if (!columns) columns = columnsOf(record);
    else yield { line, ...csvRow(columns, record) };
  }
  if (!columns) throw new UnreadableFile(`expected a line of column names, found none`);
  yield* skipped;
}

function* chunksOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; from += CHUNK_CHARS) yield text.slice(from, from + CHUNK_CHARS);
}

/** The names of columns hold none of them: the first line tells which it is. */
function delimiterOf(text: string): string {
  const header = text.slice(0, text.indexOf("\n"));
  return DELIMITERS.find((delimiter) => header.includes(delimiter)) ?? ",";
}

function columnsOf(header: string[]): Column[] {
  const names = header.map((name) => name.trim().toLowerCase());
  const columns = names.flatMap((name) => COLUMNS.filter((column) => column === name));
  const unknown = names.filter((name) => !COLUMNS.some((column) => column === name));
  const missing = NEEDED.filter((column) => !columns.includes(column));
  if (unknown.length > 0 || missing.length > 0 || new Set(names).size < names.length) {
    throw new UnreadableFile(
      `line 1: expected the columns ${NEEDED.join(", ")} and if wanted ${COLUMNS.filter((column) => !NEEDED.some((needed) => needed === column)).join(", ")}, each once, found ${names.join(", ").slice(0, 500)}`,
    );
  }
  return columns;
}

function csvRow(columns: Column[], record: string[]): Pick<FileRow, "json" | "problem"> {
  if (record.length !== columns.length)
    return { json: "", problem: `expected ${columns.length} columns, found ${record.length}` };
  const cells = Object.fromEntries(columns.map((column, at) => [column, record[at]?.trim() ?? ""]));
  const problems: string[] = [];
  const wrong = (field: Column, expected: string) => {
    problems.push(`${field}: expected ${expected}, found ${cells[field] === "" ? "nothing" : cells[field]}`);
    return undefined;
  };
  const {
    sku,
    name,
    description = "",
    price = "",
    currency = "",
    collections = "",
    prepared = "",
    initial_stock = "",
  } = cells;
  const known = isCurrency(currency) || wrong("currency", "a currency of ISO 4217 such as EUR");
  const minorUnits =
    known && (minorUnitsOf(price, currency) ?? wrong("price", `an amount of ${currency} such as 4.50`));
  if (!["", "true", "false"].includes(prepared.toLowerCase())) wrong("prepared", "true or false");
  if (!/^\d{0,10}$/.test(initial_stock)) wrong("initial_stock", "a whole number");
  if (problems.length > 0) return { json: "", problem: problems.join("; ") };
  const fields = {
    sku,
    name,
    description,
    price: { currencyCode: currency, minorUnits: String(minorUnits) },
    collections: collections.split("|").flatMap((collection) => collection.trim() || []),
    prepared: prepared.toLowerCase() === "true",
    initialStock: Number(initial_stock),
  };
  return { json: JSON.stringify(fields), problem: null };
}
