import { describe, expect, test } from "bun:test";
import { ownFiles } from "../tree.ts";
import { rowNames } from "./rows.ts";

const BAD: [path: string, text: string][] = [
  ["services/points/store.ts", 'sql`select user_id as "userId" from accounts`'],
  ["services/points/store.ts", 'sql<\n  Hold[]\n>`select hold_id AS "holdId" from holds where true`'],
  ["packages/database/jobs.ts", 'return sql`bucket, due_at as\n "dueAt"`;'],
];
const GOOD: [path: string, text: string][] = [
  ["services/points/store.ts", "sql`select user_id, count(*)::int as entries from ledger`"],
  ["services/points/store.ts", 'const text = `known as "Ada"`; // user_id as "userId"'],
  ["packages/database/envelope.ts", 'sql`correlation_id as "correlationId"`'],
  ["services/points/points.test.ts", 'sql`select user_id as "userId" from accounts`'],
];

describe("a row has the names of its columns", () => {
  test.each(BAD)("%s: finds %s", (path, text) => expect(rowNames({ path, text })).toHaveLength(1));
  test.each(GOOD)("%s: lets pass %s", (path, text) => expect(rowNames({ path, text })).toEqual([]));
  test("in the whole tree", async () => expect((await ownFiles()).flatMap(rowNames)).toEqual([]));
});
