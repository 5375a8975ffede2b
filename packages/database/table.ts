import type { Sql } from "./database.ts";

/** PostgreSQL's types by name, and what stands for a value of each. */
interface Values {
  uuid: string;
  text: string;
  smallint: number;
  integer: number;
  bigint: bigint | number;
  boolean: boolean;
  timestamptz: Date;
  /** Such as 2026-01-31. */
  date: string;
  bytea: Uint8Array;
  json: object;
  jsonb: object;
  "text[]": string[];
}

type ColumnType = keyof Values;
type Columns = Record<string, ColumnType>;

/** A table, and those of its columns that are written in sets of rows. */
export interface Table<C extends Columns = Columns> {
  name: string;
  columns: C;
  /** The same, as a list. */
  typed: [name: string, type: ColumnType][];
  /** Their names, with commas. */
  names: string;
}

/** A row has the names of its columns. */
export type RowOf<C extends Columns> = { [column in keyof C]: Values[C[column]] | null | undefined };
export type Row = Record<string, Values[ColumnType] | null | undefined>;

export function table<const C extends Columns>(name: string, columns: C): Table<C> {
  return { name, columns, typed: Object.entries(columns), names: Object.keys(columns).join(", ") };
}

/** Its columns, to be named in a statement. */
export function namesOf(sql: Sql, { names }: Table) {
  return sql.unsafe(names);
}

/** `insert into … select …` for all rows; a statement adds what is wanted of conflicts, and returned. */
export function insertRows<C extends Columns>(sql: Sql, into: Table<C>, rows: RowOf<C>[]) {
  return filled(sql, `insert into ${into.name} (${into.names}) ${selectOf(into, 1)}`, arraysOf(into, rows));
}

/** Rows that a statement reads from, under a name that it gives them. */
export function rowsOf<C extends Columns>(sql: Sql, of: Table<C>, rows: RowOf<C>[]) {
  return filled(sql, `(${selectOf(of, 1)})`, arraysOf(of, rows));
}

/** A part of a statement, as a template literal would give it. */
function filled(sql: Sql, text: string, parameters: string[]) {
  const parts = text.split(/\$\d+/);
  return sql(Object.assign(parts, { raw: parts }), ...parameters);
}

/**
 * A select of rows that come as one array a column, `$first` and those after it. PostgreSQL takes half as long to read arrays as to read the same rows in JSON.
 */
export function selectOf({ typed, names }: Table, first: number): string {
  // unnest would take an array of arrays apart.
  const selected = typed.map(([name, type]) => (type === "text[]" ? `${name}::text[]` : name));
  const given = typed.map(([, type], index) => `$${first + index}::${type === "text[]" ? "text" : type}[]`);
  return `select ${selected.join(", ")} from unnest(${given.join(", ")}) as r (${names})`;
}

/** The arrays that `selectOf` reads, as PostgreSQL writes them. */
export function arraysOf<C extends Columns>({ typed }: Table<C>, rows: RowOf<C>[]): string[] {
  return typed.map(([name, type]) => {
    let text = "";
    for (const row of rows) text += `${text && ","}${element(type, row[name])}`;
    return `{${text}}`;
  });
}

function element(type: ColumnType, value: Row[string]): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "string") return quoted(value);
  if (value instanceof Date) return `"${value.toISOString()}"`;
  if (value instanceof Uint8Array) return `"\\\\x${value.toHex()}"`;
  if (typeof value !== "object") return String(value);
  if (type === "text[]" && Array.isArray(value)) return quoted(`{${value.map(quoted).join()}}`);
  return quoted(JSON.stringify(value));
}

const SPECIAL = /["\\]/g;

function quoted(text: string): string {
  return `"${text.replace(SPECIAL, "\\$&")}"`;
}
