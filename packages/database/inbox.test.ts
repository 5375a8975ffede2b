// Facts that arrive while an older one of their key is parked, replayed or done in another transaction.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import type { Database, Sql } from "./database.ts";
import { rememberFacts } from "./inbox.ts";
import { claimDue, type JobRow, keep } from "./jobs.ts";
import { lockToReplay, parkArrival, parkFollowers, parkJob, replayParked } from "./parked.ts";

const NOW = new Date("2026-01-05T08:00:00Z");
const KNOWN = { jobs: [], heard: [] };
const FAILED = { error: "broken", attempts: 5 };
let database: Database;

beforeAll(async () => {
  database = (await testDatabase()).database;
});
afterAll(() => database.close());

test("a fact that arrives while the one before it is parked is parked behind it", async () => {
  const elder = fact("parking");
  await keep(database.sql, "fact", [elder], NOW);
  const { seen } = await arriving("parking", async (sql) => {
    const row = await jobOf(sql, elder.id);
    await parkJob(sql, row, FAILED, NOW);
    await parkFollowers(sql, "parking", NOW);
  });
  expect(seen).toEqual({ fresh: 1, waiting: [], parked: ["parking"] });
});

test("a fact that is kept while one before it is parked, which is not the oldest, is parked behind it", async () => {
  // The oldest is another version's, and nobody waits for it.
  const [oldest, failing, younger] = [fact("kept"), fact("kept"), fact("kept")];
  await keep(database.sql, "fact", [oldest, failing], NOW);
  const kept = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  const arrival = database.transaction(async (sql) => {
    expect((await rememberFacts(sql, [younger], NOW)).waiting).toEqual(new Set(["kept"]));
    await keep(sql, "fact", [younger], NOW);
    kept.resolve();
    await hold.promise;
  });
  await kept.promise;
  const parking = database.transaction(async (sql) => {
    const [row] = await sql<JobRow[]>`select job_id as id, bucket, fence from jobs where job_id = ${failing.id}`;
    if (!row) throw new Error("expected the failing fact among the jobs");
    await parkJob(sql, row, FAILED, NOW);
    await parkFollowers(sql, "kept", NOW);
  });
  await eventually(somebodyWaits);
  hold.resolve();
  await Promise.all([arrival, parking]);
  const parked = await database.sql`select from parked where key = 'kept'`;
  expect([parked.length, (await database.sql`select from jobs where key = 'kept'`).length]).toEqual([3, 0]);
});

test("a fact that arrives while the parked one before it is replayed waits behind it", async () => {
  const elder = fact("replaying");
  await parkArrival(database.sql, "fact", elder, FAILED, NOW);
  const { seen } = await arriving("replaying", async (sql) => {
    await lockToReplay(sql, [elder.id]);
    await replayParked(sql, [elder.id], NOW);
  });
  expect(seen).toEqual({ fresh: 1, waiting: ["replaying"], parked: [] });
});

test("a fact that arrives while the last one before it is done is free", async () => {
  await keep(database.sql, "fact", [fact("doing")], NOW);
  const { seen } = await arriving("doing", async (sql) => {
    expect(await claimDue(sql, NOW, KNOWN, 100)).not.toEqual([]);
  });
  expect(seen).toEqual({ fresh: 1, waiting: [], parked: [] });
});

test("a replay waits for what is being parked behind it, and takes it along", async () => {
  const [elder, younger] = [fact("along"), fact("along")];
  await parkArrival(database.sql, "fact", elder, FAILED, NOW);
  const parkedBehind = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  const arrival = database.transaction(async (sql) => {
    expect((await rememberFacts(sql, [younger], NOW)).parked).toEqual(new Set(["along"]));
    await parkArrival(sql, "fact", younger, FAILED, NOW);
    parkedBehind.resolve();
    await hold.promise;
  });
  await parkedBehind.promise;
  const replay = database.transaction(async (sql) => {
    await lockToReplay(sql, [elder.id]);
    return replayParked(sql, [elder.id], NOW);
  });
  await eventually(somebodyWaits);
  hold.resolve();
  await arrival;
  expect((await replay).toSorted()).toEqual([elder.id, younger.id].toSorted());
});

test("a younger fact is not replayed without the older ones of its key, a job is replayed alone", async () => {
  const [first, second, other] = [fact("whole"), fact("whole"), fact("else")];
  for (const each of [first, second, other]) await parkArrival(database.sql, "fact", each, FAILED, NOW);
  const [job, sibling] = [fact("jobs"), fact("jobs")];
  for (const each of [job, sibling]) await parkArrival(database.sql, "job", each, FAILED, NOW);
  expect((await replayParked(database.sql, [second.id], NOW)).toSorted()).toEqual([first.id, second.id].toSorted());
  expect(await replayParked(database.sql, [job.id], NOW)).toEqual([job.id]);
});

/** A fact of `key` arrives while `doing` is done and not committed. What it finds before it. */
async function arriving(key: string, doing: (sql: Sql) => Promise<void>) {
  const done = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  const other = database.transaction(async (sql) => {
    await doing(sql);
    done.resolve();
    await hold.promise;
  });
  other.catch(done.reject);
  await done.promise;
  const arrival = database.transaction((sql) => rememberFacts(sql, [fact(key)], NOW));
  await eventually(somebodyWaits);
  hold.resolve();
  await other;
  const { fresh, waiting, parked } = await arrival;
  return { seen: { fresh: fresh.size, waiting: [...waiting], parked: [...parked] } };
}

async function somebodyWaits(): Promise<boolean> {
  const rows = await database.sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return rows.length > 0;
}

async function jobOf(sql: Sql, id: string) {
  const row = (await claimDue(sql, NOW, KNOWN, 100)).find((each) => each.id === id);
  if (!row) throw new Error(`expected the job ${id} to be due`);
  await keep(sql, "fact", [row], NOW);
  const [kept] = await sql<{ sequence: bigint }[]>`select sequence from jobs where job_id = ${id}`;
  return { ...row, ...kept };
}

function fact(key: string) {
  const about = { type: "order.created", source: "bodega/test", time: NOW, traceparent: "", correlationId: "" };
  return { ...about, id: crypto.randomUUID(), key, body: Buffer.from(key) };
}
