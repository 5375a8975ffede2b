import { expect, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { claimDue, type JobRow, keep } from "./jobs.ts";
import { discardParked, listParked, parkJob, replayParked } from "./parked.ts";

const NOW = new Date("2026-01-05T08:00:00Z");

test("what is replayed has its old place: before the younger ones of its key that are still to be done", async () => {
  const { database } = await testDatabase();
  const { sql } = database;
  const [first, second] = ["first", "second"].map(fact);
  if (!first || !second) throw new Error("two facts were made");
  await keep(sql, "fact", [first], NOW);
  const [kept] = await claimAndKeep();
  if (!kept) throw new Error("expected a fact that is due");
  await keep(sql, "fact", [first], NOW);
  await keep(sql, "fact", [second], NOW);
  const [row] = await sql<
    { sequence: bigint; bucket: number }[]
  >`select sequence, bucket from jobs where job_id = ${first.id}`;
  await parkJob(sql, { ...kept, ...row }, { error: "broken", attempts: 5 }, NOW);
  expect(await replayParked(sql, [first.id], NOW)).toHaveLength(1);
  const order: string[] = [];
  for (let [due] = await claimAndKeep(); due; [due] = await claimAndKeep()) order.push(due.id);
  expect(order).toEqual([first.id, second.id]);
  await database.close();

  function claimAndKeep() {
    return claimDue(sql, NOW, { jobs: [], heard: [] }, 1);
  }
});

test("what is parked is listed in the order it came, a key's oldest first, on pages that miss and repeat nothing", async () => {
  const { database } = await testDatabase();
  const { sql } = database;
  const facts = ["first", "second", "third", "fourth", "fifth"].map(fact);
  const third = facts[2];
  // The third was tried for long before it was parked.
  await keep(sql, "fact", facts, NOW);
  const rows = await sql<JobRow[]>`select *, job_id as id from jobs order by sequence`;
  const late = (row: JobRow) => row.id === third?.id;
  for (const row of rows.toSorted((a, b) => Number(late(a)) - Number(late(b))))
    await parkJob(sql, row, { error: "broken", attempts: 5 }, NOW);
  const seen: string[] = [];
  for (let after: bigint | null = null; ; ) {
    const page = await listParked(sql, after, 2);
    seen.push(...page.map(({ id }) => id));
    const last = page.at(-1);
    if (!last) break;
    // What goes meanwhile moves nobody to another page.
    await discardParked(sql, [last.id], "admin", "test data", NOW);
    after = last.sequence;
  }
  expect(seen).toEqual(facts.map(({ id }) => id));
  await database.close();
});

function fact(name: string) {
  return {
    id: crypto.randomUUID(),
    type: "order.created",
    source: "bodega/test",
    key: "a",
    time: NOW,
    body: Buffer.from(name),
    traceparent: "",
    correlationId: "",
  };
}
