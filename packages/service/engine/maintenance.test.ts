import { expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../../tests/kit/databases.ts";
import { testPorts } from "../../../tests/kit/ports.ts";
import { remember } from "../../database/inbox.ts";
import { createLog, type Line } from "../../telemetry/log.ts";
import { systemClock } from "../../time/clock.ts";
import { ENGINE_KEEPS, forgetOld } from "./maintenance.ts";

setDefaultTimeout(60_000);

const DAY_MS = 86_400_000;

test("what may still be delivered again or asked again is remembered, and no longer", async () => {
  const { ports, clock } = await testPorts();
  const { sql } = ports.database;
  const ago = (days: number) => new Date(clock.now().getTime() - days * DAY_MS);
  for (const [key, days] of [
    ["old", 46],
    ["young", 29],
  ] as const) {
    await remember(sql, [{ id: crypto.randomUUID(), key }], ago(days));
    await sql`insert into idempotency (bucket, caller, rpc, request_id, request_hash, reply, created_at)
      values (0, ${crypto.randomUUID()}, 'PlaceOrder', ${key}, ${Buffer.from("h")}, ${Buffer.from("r")}, ${ago(days)})`;
  }
  await forgetOld({ sql, clock, log: createLog(() => {}) }, ENGINE_KEEPS);
  const seen = await sql<{ seen_at: Date }[]>`select seen_at from inbox`;
  expect(seen.map(({ seen_at }) => seen_at)).toEqual([ago(29)]);
  expect(Array.from(await sql`select request_id from idempotency`, (row) => row["request_id"])).toEqual(["young"]);
  await ports.database.close();
});

async function open(scale = 1) {
  const { database } = await testDatabase();
  const real = Date.now();
  const clock = systemClock(scale, { real, business: real });
  const lines: Line[] = [];
  const app = { sql: database.sql, clock, log: createLog((line) => lines.push(line)) };
  const at = (daysAgo: number) => new Date(clock.now().getTime() - daysAgo * DAY_MS);
  const count = async (table: string) =>
    (await database.sql.unsafe<{ rows: number }[]>(`select count(*)::int as rows from ${table}`))[0]?.rows;
  return { database, app, lines, at, count };
}

test("what is older than its days goes, however much has piled up, and the rest stays", async () => {
  const { database, app, at, count } = await open();
  const { sql } = database;
  for (const [days, rows] of [
    [50, 12_345],
    [1, 7],
  ] as const) {
    await sql`insert into inbox (bucket, message_id, seen_at) select 0, gen_random_uuid(), ${at(days)} from generate_series(1, ${rows}::int)`;
    await sql`insert into idempotency (bucket, caller, rpc, request_id, request_hash, created_at)
      select 0, gen_random_uuid(), 'Do', number::text, '', ${at(days)} from generate_series(1, ${rows}::int) as number`;
  }
  await forgetOld(app, ENGINE_KEEPS);
  expect([await count("inbox"), await count("idempotency")]).toEqual([7, 7]);
  await database.close();
});

test("a table that cannot be pruned is told, and the others are", async () => {
  const { database, app, lines, at, count } = await open();
  await database.sql`alter table inbox rename column seen_at to renamed`;
  await database.sql`insert into idempotency (bucket, caller, rpc, request_id, request_hash, created_at)
    values (0, gen_random_uuid(), 'Do', 'old', '', ${at(40)})`;
  await forgetOld(app, ENGINE_KEEPS);
  expect(await count("idempotency")).toBe(0);
  expect(lines.filter(({ event }) => event === "maintenance.failed")).toMatchObject([{ table: "inbox" }]);
  await database.close();
});

test("days are of real time: where business time runs sixty times as fast, nothing is forgotten sixty times as soon", async () => {
  const { database, app, at, count } = await open(60);
  await database.sql`insert into inbox (bucket, message_id, seen_at) values (0, gen_random_uuid(), ${at(60)})`;
  await forgetOld(app, ENGINE_KEEPS);
  expect(await count("inbox")).toBe(1);
  await database.close();
});

test("where that is before the year one, nothing is old enough, and nothing fails", async () => {
  const { database, app, lines, at, count } = await open(24_000);
  await database.sql`insert into inbox (bucket, message_id, seen_at) values (0, gen_random_uuid(), ${at(60)})`;
  await forgetOld(app, ENGINE_KEEPS);
  expect(await count("inbox")).toBe(1);
  expect(lines).toEqual([]);
  await database.close();
});
