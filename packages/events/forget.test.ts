import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { brokerDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import type { Database } from "../database/database.ts";
import { createLog, type Line } from "../telemetry/log.ts";
import { createEmbeddedEvents } from "./embedded.ts";
import { forgetFacts, retireGroups } from "./forget.ts";

setDefaultTimeout(60_000);

const DAY_MS = 86_400_000;
const NOW = new Date("2026-01-05T08:00:00Z");
const ago = (days: number) => new Date(NOW.getTime() - days * DAY_MS);

let database: Database;
beforeAll(async () => {
  ({ database } = await brokerDatabase());
});
beforeEach(async () => {
  await database.sql`truncate facts, fact_offsets, leaders restart identity`;
});
afterAll(() => database.close());

async function insertFacts(topic: string, count: number, at: Date) {
  await database.sql`
    insert into facts (id, type, topic, key, source, time, body, traceparent, appended_at)
    select gen_random_uuid(), ${`${topic}.told`}, ${topic}, 'k', 'test', ${at}, '', '', ${at} from generate_series(1, ${count}::int)`;
}

async function insertGroup(consumer: string, topics: string[], position: number, hours = 0) {
  await database.sql`
    insert into fact_offsets (consumer, topics, position, hours_missing, looked_at)
    values (${consumer}, ${topics}, ${position}, ${hours}, clock_timestamp() - interval '2 hours')`;
}

async function countFacts(): Promise<Record<string, number>> {
  const rows = await database.sql<{ topic: string; count: number }[]>`
    select topic, count(*)::int as count from facts group by topic`;
  return Object.fromEntries(rows.map(({ topic, count }) => [topic, count]));
}

test("facts are removed topic by topic, however many, but for those that are young or that a group is still to hear", async () => {
  await insertFacts("order", 12_000, ago(9));
  await insertFacts("payment", 100, ago(9));
  await insertFacts("nobody-hears", 10, ago(9));
  await insertFacts("order", 5, ago(1));
  await insertGroup("mail", ["order"], 12_000);
  await insertGroup("slow", ["payment"], 12_040);
  await forgetFacts(database.sql, ago(7));
  expect(await countFacts()).toEqual({ order: 5, payment: 60 });
});

test("a step reads no more than it may remove, by the index of its topic", async () => {
  await insertFacts("order", 30_000, ago(1));
  await database.sql`analyze facts`;
  const before = await fetched();
  await forgetFacts(database.sql, ago(7));
  await eventually(async () => (await fetched()) > before);
  // One step of the topic, and a few rows that tell the topics.
  expect((await fetched()) - before).toBeLessThan(5_100);
  expect(await countFacts()).toEqual({ order: 30_000 });
});

/** Rows of facts that scans have read so far. */
async function fetched(): Promise<number> {
  await database.sql`select pg_stat_force_next_flush()`;
  const [row] = await database.sql<{ rows: number }[]>`
    select (coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as rows from pg_stat_user_tables where relname = 'facts'`;
  return row?.rows ?? 0;
}

test("a group that nobody reads for is forgotten after thirty days in which the broker was used, and keeps nothing any more", async () => {
  await insertFacts("order", 10, ago(60));
  await insertGroup("retired", ["order"], 0, 30 * 24);
  await insertGroup("away", ["order"], 4, 29 * 24);
  await insertGroup("there", ["order"], 10, 30 * 24);
  await database.sql`
    insert into leaders (name, epoch, holder, held_until, session_pid, session_start)
    values ('group there', 1, 'h', clock_timestamp() + interval '3 s', 0, clock_timestamp())`;
  expect(await retireGroups(database.sql)).toEqual(["retired"]);
  await forgetFacts(database.sql, ago(7));
  expect(await countFacts()).toEqual({ order: 6 });
  const rows = await database.sql`select consumer, hours_missing from fact_offsets order by consumer`;
  expect(Array.from(rows)).toEqual([
    { consumer: "away", hours_missing: 29 * 24 + 1 },
    { consumer: "there", hours_missing: 0 },
  ]);
  // Hours in which nobody looked do not count, and looks within one hour are one.
  expect(await retireGroups(database.sql)).toEqual([]);
  const [away] = await database.sql`select hours_missing from fact_offsets where consumer = 'away'`;
  expect(away).toEqual({ hours_missing: 29 * 24 + 1 });
});

test("who tells a fact does not hear of it when what is old cannot be removed", async () => {
  const lines: Line[] = [];
  const events = createEmbeddedEvents(
    database,
    createLog((line) => lines.push(line)),
    () => NOW,
  );
  await database.sql`alter table fact_offsets rename column hours_missing to renamed`;
  const body = new Uint8Array();
  const about = { topic: "order", key: "k", source: "test", time: NOW, traceparent: "", correlationId: "" };
  await events.publish([{ id: crypto.randomUUID(), type: "order.created", body, ...about }]);
  await events.close();
  await database.sql`alter table fact_offsets rename column renamed to hours_missing`;
  expect(lines.map(({ event }) => event)).toEqual(["events.unforgotten"]);
  expect(await countFacts()).toEqual({ order: 1 });
});
