import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Database } from "../packages/database/database.ts";
import { type Kept, prune, sizesOf } from "../packages/database/retention.ts";
import { BROKER_KEEPS } from "../packages/events/forget.ts";
import { ENGINE_KEEPS } from "../packages/service/engine/maintenance.ts";
import { brokerDatabase, testDatabase } from "../tests/kit/databases.ts";
import { BROKER, declarations, SERVICE_NAMES } from "./all.ts";

setDefaultTimeout(60_000);

/** What a database has of its own, and what the list of its service says. */
const databases = new Map<string, { database: Database; kept: Kept[] }>();
beforeAll(async () => {
  for (const { name, migrations, keeps = [] } of await declarations())
    databases.set(name, { ...(await testDatabase(migrations)), kept: [...ENGINE_KEEPS, ...keeps] });
  // It leads and migrates by the same tables, and has the others with them.
  databases.set(BROKER, { ...(await brokerDatabase()), kept: [...ENGINE_KEEPS, ...BROKER_KEEPS] });
});
afterAll(() => Promise.all(Array.from(databases.values(), ({ database }) => database.close())));

const of = (name: string) => {
  const found = databases.get(name);
  if (!found) throw new Error(`no database of ${name}`);
  return found;
};

/** Tables that no list names, and names of none; partitions belong to their table. */
async function disagreements({ database: { sql }, kept }: { database: Database; kept: Kept[] }) {
  const rows = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'
      and not (select relispartition from pg_class where oid = format('%I.%I', table_schema, table_name)::regclass)`;
  const there = new Set(rows.map(({ name }) => name));
  const listed = new Set(kept.map(({ table }) => table));
  return { unlisted: [...there.difference(listed)], missing: [...listed.difference(there)] };
}

test.each([...SERVICE_NAMES, BROKER])("%s says of each of its tables how long rows stay in it", async (name) => {
  expect(await disagreements(of(name))).toEqual({ unlisted: [], missing: [] });
});

test("a table that was forgotten on the list is noticed, and a list that names what is gone", async () => {
  const { database, kept } = { ...(await testDatabase()), kept: ENGINE_KEEPS.slice(1) };
  await database.sql`create table strays (stray_id uuid primary key)`;
  expect((await disagreements({ database, kept })).unlisted.toSorted()).toEqual(["outbox", "strays"]);
  await database.sql`drop table idempotency`;
  expect((await disagreements({ database, kept })).missing).toEqual(["idempotency"]);
  await database.close();
});

test.each(SERVICE_NAMES)("%s can remove what it keeps for days, and finds the oldest by an index", async (name) => {
  const { database, kept } = of(name);
  const lacking = [];
  for (const { table, prune: how } of kept) {
    if (!how) continue;
    // A condition that its table does not know would fail here, and each ten minutes from then on.
    expect(await prune(database.sql, table, how, new Date(0))).toBe(0);
    const column = "id" in how.by ? how.by.id : how.by.column;
    const [index] = await database.sql`
      select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where i.indrelid = ${table}::regclass and a.attname = ${column}`;
    if (!index) lacking.push(`${table} (${column})`);
  }
  expect(lacking).toEqual([]);
});

test("sizes are of the whole table, its months and its indexes together", async () => {
  const { sql } = of("eventlog").database;
  await sql`create table events_2026_01 partition of events for values from ('2026-01-01') to ('2026-02-01')`;
  await sql`create table events_2026_02 partition of events for values from ('2026-02-01') to ('2026-03-01')`;
  const [part] = await sql<{ bytes: bigint }[]>`
    select pg_total_relation_size('events_2026_01') + pg_total_relation_size('events_2026_02') as bytes`;
  const sizes = await sizesOf(sql, ["events", "inbox", "no such table"]);
  expect(new Map(sizes.map(({ table, bytes }) => [table, bytes])).get("events")).toBe(Number(part?.bytes));
  expect(sizes.map(({ table }) => table).toSorted()).toEqual(["events", "inbox"]);
});
