// Rows of orders may be spread over several databases, bucket by bucket: every story and every statement says which bucket it is about.
import { type File, type Finding, isTest, lineOf, statementsOf, withoutWords } from "./source.ts";

/** Every row of the order service belongs to an order, and so to a bucket, but for its copy of the catalogue and the limits, which are the same everywhere. */
const EVERYWHERE: (string | undefined)[] = ["catalogue", "menus", "order_limits"];

export function bucketed(file: File): Finding[] {
  if (!/^services\/order\/.*\.ts$/.test(file.path) || isTest(file.path)) return [];
  const tables = (text: string) =>
    Array.from(text.matchAll(/\b(?:from|into|update|join)\s+(?!set\b)(\w+)/gi), (match) => match[1]);
  return statementsOf(file)
    .filter(({ text }) => /^\s*(?:select|insert|update|delete|with|merge)\b/i.test(text) && !/\bbucket\b/i.test(text))
    .filter(({ text }) => tables(text).some((table) => !EVERYWHERE.includes(table)))
    .map(({ line }) => ({ path: file.path, line, says: "this statement names no bucket" }));
}

/** The engine's own tables lie where orders do. Only the runtime, which makes the places, has the home database. */
const ASKS_PLACES = /^(?:services\/order|packages\/service\/engine)\/.*\.ts$/;
const AT_HOME = ["services/order/catalogue.ts", "packages/service/engine/runtime.ts"];

/** Orders may be spread over several databases: what is asked of them is asked where their id says, or at every place. The catalogue lies at home. */
export function placed(file: File): Finding[] {
  if (!ASKS_PLACES.test(file.path) || isTest(file.path) || AT_HOME.includes(file.path)) return [];
  const code = withoutWords(file);
  return Array.from(code.matchAll(/\bapp\s*\.\s*(?:sql|transact|record)\b/g), (match) => ({
    path: file.path,
    line: lineOf(code, match.index),
    says: `${match[0]} is the home database: an order is at app.at(orderId), a customer's orders at app.atCustomer(customerId), all at app.everywhere()`,
  }));
}
