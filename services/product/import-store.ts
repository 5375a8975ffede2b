import type { Sql } from "../../packages/database/database.ts";
import { storable } from "../../packages/database/storable.ts";
import { insertRows, rowsOf, table } from "../../packages/database/table.ts";
import type { Import } from "./import.ts";
import type { FileRow } from "./import-file.ts";

// Files on their way to the shelf, and what is left to do of them.

const PROBLEM_CHARS_MAX = 1_000;

/** What is said of a file repeats words of it, and they may be any. */
function quotable(problem: string): string {
  return storable(problem, PROBLEM_CHARS_MAX);
}

export async function insertImport(sql: Sql, row: Import): Promise<void> {
  await sql`
    insert into imports (import_id, status, format, file_name, bytes, parts, actor, created_at, updated_at)
    values (${row.importId}, ${row.status}, ${row.format}, ${row.fileName}, ${row.bytes}, ${row.parts}, ${row.actor}, ${row.createdAt}, ${row.createdAt})`;
}

export async function findImport(sql: Sql, importId: string): Promise<Import | undefined> {
  const [row] = await sql<ImportRow[]>`select * from imports where import_id = ${importId}`;
  return row && importFrom(row);
}

export async function lockImport(sql: Sql, importId: string): Promise<Import | undefined> {
  const [row] = await sql<ImportRow[]>`select * from imports where import_id = ${importId} for update`;
  return row && importFrom(row);
}

export async function saveImport(sql: Sql, row: Import, now: Date): Promise<void> {
  await sql`
    update imports set status = ${row.status}, bytes = ${row.bytes}, parts = ${row.parts}, rows_total = ${row.rowsTotal},
      rows_created = ${row.rowsCreated}, rows_unchanged = ${row.rowsUnchanged}, rows_refused = ${row.rowsRefused},
      error = ${quotable(row.error)}, updated_at = ${now}, finished_at = ${row.finishedAt}
    where import_id = ${row.importId}`;
}

/** Files of which no part came since then. */
export async function dropAbandoned(sql: Sql, since: Date): Promise<void> {
  await sql`delete from imports where status = 'RECEIVING' and updated_at < ${since}`;
}

export async function insertPart(sql: Sql, { importId, parts }: Import, content: Uint8Array): Promise<void> {
  await sql`insert into import_parts (import_id, part, content) values (${importId}, ${parts}, ${content})`;
}

/** The whole file, as it was received. */
export async function findContent(sql: Sql, importId: string): Promise<Uint8Array> {
  const parts = await sql<{ content: Uint8Array }[]>`
    select content from import_parts where import_id = ${importId} order by part`;
  return Buffer.concat(parts.map(({ content }) => content));
}

export async function deleteContent(sql: Sql, importId: string): Promise<void> {
  await sql`delete from import_parts where import_id = ${importId}`;
}

/** An earlier import of the same file that is under way or done, and remembers what this one is of. */
export async function findTwin(sql: Sql, importId: string, sha256: Uint8Array): Promise<Import | undefined> {
  await sql`update imports set sha256 = ${sha256} where import_id = ${importId}`;
  const [row] = await sql<ImportRow[]>`
    select * from imports where sha256 = ${sha256} and import_id <> ${importId} and status in ('RUNNING', 'DONE')
    order by import_id desc limit 1`;
  return row && importFrom(row);
}

const IMPORT_ROWS = table("import_rows", { import_id: "uuid", line: "integer", json: "text", problem: "text" });

export async function insertFileRows(sql: Sql, importId: string, rows: FileRow[]): Promise<void> {
  const named = rows.map(({ line, json, problem }) => ({
    ...{ import_id: importId, line, json },
    problem: problem === null ? null : quotable(problem),
  }));
  await insertRows(sql, IMPORT_ROWS, named);
}

/** The next rows that nobody has looked at, in the order of the file. */
export async function findRowsToDo(
  sql: Sql,
  importId: string,
  rowsMax: number,
): Promise<{ line: number; json: string }[]> {
  return sql<{ line: number; json: string }[]>`
    select line, json from import_rows where import_id = ${importId} and problem is null order by line limit ${rowsMax}`;
}

const OUTCOMES = table("import_rows", { line: "integer", problem: "text" });

/** Rows that are done go; those with a problem stay, with it. */
export async function saveOutcomes(
  sql: Sql,
  importId: string,
  outcomes: { line: number; problem: string | null }[],
): Promise<void> {
  const done = outcomes.filter(({ problem }) => problem === null).map(({ line }) => line);
  const refused = outcomes.flatMap(({ line, problem }) =>
    problem === null ? [] : { line, problem: quotable(problem) },
  );
  await sql`delete from import_rows where import_id = ${importId} and line = any(${done})`;
  await sql`
    update import_rows r set problem = found.problem, json = ''
    from ${rowsOf(sql, OUTCOMES, refused)} as found
    where r.import_id = ${importId} and r.line = found.line`;
}

export async function deleteRows(sql: Sql, importId: string): Promise<void> {
  await sql`delete from import_rows where import_id = ${importId}`;
}

export async function deleteRowsToDo(sql: Sql, importId: string): Promise<void> {
  await sql`delete from import_rows where import_id = ${importId} and problem is null`;
}

export interface Problem {
  line: number;
  problem: string;
}

/** What was refused behind a line. */
export async function findProblems(
  sql: Sql,
  importId: string,
  after: string | null,
  rowsMax: number,
): Promise<Problem[]> {
  return sql<Problem[]>`
    select line, problem from import_rows where import_id = ${importId} and problem is not null and line > ${Number(after ?? 0)}
    order by line limit ${rowsMax}`;
}

interface ImportRow {
  import_id: string;
  status: Import["status"];
  format: Import["format"];
  file_name: string;
  bytes: number;
  parts: number;
  rows_total: number | null;
  rows_created: number;
  rows_unchanged: number;
  rows_refused: number;
  error: string;
  actor: string;
  created_at: Date;
  finished_at: Date | null;
}

function importFrom(row: ImportRow): Import {
  return {
    importId: row.import_id,
    status: row.status,
    format: row.format,
    fileName: row.file_name,
    bytes: row.bytes,
    parts: row.parts,
    rowsTotal: row.rows_total,
    rowsCreated: row.rows_created,
    rowsUnchanged: row.rows_unchanged,
    rowsRefused: row.rows_refused,
    error: row.error,
    actor: row.actor,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}
