import { expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { uuidV7Floor } from "../time/ids.ts";
import { forDays, type Kept, prune } from "./retention.ts";

setDefaultTimeout(60_000);

const DAY_MS = 86_400_000;
const NOW = new Date("2026-01-05T08:00:00Z");
const ago = (days: number) => new Date(NOW.getTime() - days * DAY_MS);

async function things() {
  const { database } = await testDatabase();
  await database.sql`create table things (thing_id uuid primary key, status text not null, seen_at timestamptz not null)`;
  const insert = (days: number, status: string) => database.sql`
    insert into things values (${uuidV7Floor(ago(days).getTime())}, ${status}, ${ago(days)})`;
  for (const [days, status] of [
    [99, "over"],
    [98, "open"],
    [90.5, "over"],
    [89.5, "over"],
    [1, "over"],
  ] as const)
    await insert(days, status);
  const left = async () =>
    (await database.sql<{ seen_at: Date }[]>`select seen_at from things order by seen_at`).map(
      ({ seen_at }) => (NOW.getTime() - seen_at.getTime()) / DAY_MS,
    );
  return { database, left };
}

const pruning = ({ prune: how }: Kept) => {
  if (!how) throw new Error("expected something that is pruned");
  return how;
};

test.each([
  ["a column with the time", { column: "seen_at" }],
  ["an id that was made then", { id: "thing_id" }],
])("the age of a row is told by %s, and what is not over stays", async (_, by) => {
  const { database, left } = await things();
  const kept = forDays(90, "things", by, "a test", "status = 'over'");
  expect(await prune(database.sql, "things", pruning(kept), ago(90))).toBe(2);
  expect(await left()).toEqual([98, 89.5, 1]);
  await database.close();
});
