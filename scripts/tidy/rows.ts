// A row has the names of its columns. Where the domain's own object is another one, the store makes it, in one function, such as `orderFrom`.
import { type File, type Finding, isProduct, isTest, lineOf, onlySql } from "./source.ts";

/** The row of a message is the message that a handler gets, whose words are those of the wire. */
const MESSAGES = "packages/database/envelope.ts";

export function rowNames(file: File): Finding[] {
  if (!isProduct(file.path) || isTest(file.path) || file.path === MESSAGES || !/\.(tsx?|sql)$/.test(file.path))
    return [];
  const sql = onlySql(file);
  return Array.from(sql.matchAll(/\bas\s+"\w+"/gi), (match) => ({
    path: file.path,
    line: lineOf(sql, match.index),
    says: `${match[0]}: a row has the names of its columns, in snake_case and without quotes`,
  }));
}
