import { expect, setDefaultTimeout, test } from "bun:test";
import { testDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { createLog, type Line } from "../telemetry/log.ts";
import { type Database, openDatabase } from "./database.ts";
import { type ReadBack, startDebeziumRelay } from "./debezium.ts";
import { outboxBacklog } from "./outbox.ts";
import type { Relay } from "./relay.ts";
import { slotName } from "./slot.ts";

setDefaultTimeout(60_000);

const TIMES = { lookMs: 10, overtakenMs: 50 };

/** A relay whose Debezium is this test: `come` says what was read back from a topic. */
async function start() {
  const { database, relayUrl } = await testDatabase();
  const reader = openDatabase(relayUrl, "reader");
  const slot = slotName("bodega_debezium", database);
  const lines: Line[] = [];
  const published: string[] = [];
  const heard = new Map<string, Parameters<ReadBack>[1]>();
  const begin = (): Relay =>
    startDebeziumRelay(
      database,
      relayUrl,
      async (rows) => void published.push(...rows.map(({ correlationId }) => correlationId)),
      (topic, came) => {
        heard.set(topic, came);
        return { close: async () => void heard.delete(topic) };
      },
      createLog((line) => lines.push(line)),
      TIMES,
    );
  return {
    database,
    slot,
    reader,
    published,
    heard,
    lines,
    begin,
    /** Resolves when a slot was made so many times, and what it does not have is out. */
    made: (times = 1) => eventually(() => lines.filter(({ event }) => event === "relay.slot_made").length >= times),
    depth: async () => Number((await outboxBacklog(database.sql)).depth),
    async come(topic: string, ids: string[]) {
      await eventually(() => heard.has(topic));
      return heard.get(topic)?.(ids);
    },
  };
}

test("facts stay in the outbox until they were read back, and are not published by the service", async () => {
  const { database, begin, made, depth, come, published, heard } = await start();
  const relay = begin();
  await made();
  const [a, b, c] = [
    await put(database, "order", "a"),
    await put(database, "stock", "b"),
    await put(database, "order", "c"),
  ];
  expect(await come("order", [a, "no id of ours", a])).toEqual({ forgotten: 1 });
  expect(await come("order", [a])).toEqual({ forgotten: 0 });
  expect(await depth()).toBe(2);
  expect([await come("stock", [b]), await come("order", [c])]).toEqual([{ forgotten: 1 }, { forgotten: 1 }]);
  expect([await depth(), published]).toEqual([0, []]);
  await relay.close();
  expect(heard.size).toBe(0);
  await database.close();
});

test("what was committed before the slot was made goes out by itself, in order; what comes later is in the slot", async () => {
  const { database, reader, begin, made, depth, published, slot } = await start();
  for (const name of ["a", "b", "c"]) await put(database, "order", name);
  const relay = begin();
  await made();
  await eventually(async () => (await depth()) === 0);
  expect(published).toEqual(["a", "b", "c"]);
  await relay.close();
  await put(database, "order", "d");
  const again = begin();
  expect(await inSlot(reader, slot)).toEqual(["d"]);
  await again.close();
  expect([await depth(), published]).toEqual([1, ["a", "b", "c"]]);
  await database.close();
});

test("when the slot is gone, what it had is published, and another one made", async () => {
  const { database, reader, begin, made, depth, published, slot } = await start();
  const relay = begin();
  await made();
  await put(database, "order", "a");
  await reader.sql`select pg_drop_replication_slot(${slot})`;
  await made(2);
  await put(database, "order", "b");
  await relay.close();
  expect([published, await depth()]).toEqual([["a"], 1]);
  expect(await inSlot(reader, slot)).toEqual(["b"]);
  await database.close();
});

test("a fact that later ones have overtaken for long is published, and one that nothing has overtaken is not", async () => {
  const { database, begin, made, depth, published, come, lines } = await start();
  const relay = begin();
  await made();
  await put(database, "order", "lost");
  await eventually(async () => {
    await come("order", [await put(database, "order", "later")]);
    return published.length > 0;
  });
  expect(published).toEqual(["lost"]);
  expect(lines.filter(({ event }) => event === "relay.overtaken")).toMatchObject([{ count: 1 }]);
  const last = await put(database, "order", "last");
  const other = await put(database, "stock", "other");
  await come("stock", []);
  expect([published, await depth()]).toEqual([["lost"], 2]);
  await come("order", [last]);
  await come("stock", [other]);
  expect(await depth()).toBe(0);
  await relay.close();
  await database.close();
});

test("of two relays of one database one reads back, and the other takes over when it stops", async () => {
  const { database, begin, made, come, depth, heard } = await start();
  const relays = [begin(), begin()];
  await made();
  await come("order", [await put(database, "order", "a")]);
  await relays[0]?.close();
  await relays[1]?.close();
  expect(heard.size).toBe(0);
  const third = begin();
  await come("order", [await put(database, "order", "b")]);
  expect(await depth()).toBe(0);
  await third.close();
  await database.close();
});

/** The planted bug: after a new slot the position that Debezium has confirmed says nothing about what came before it. */
test("a relay that forgot what lies below the confirmed position would lose a fact that is in no slot", async () => {
  const { database, reader, begin, made, slot } = await start();
  const relay = begin();
  await made();
  await relay.close();
  await put(database, "order", "a");
  const [committed] = await database.sql<{ lsn: string }[]>`select pg_current_wal_insert_lsn() as lsn`;
  await reader.sql`select pg_drop_replication_slot(${slot})`;
  await reader.sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`;
  const [confirmed] = await database.sql<{ below: boolean }[]>`
    select confirmed_flush_lsn >= ${committed?.lsn ?? ""}::pg_lsn as below from pg_replication_slots where slot_name = ${slot}`;
  expect([confirmed?.below, await inSlot(reader, slot)]).toEqual([true, []]);
  await database.close();
});

async function put({ sql }: Database, topic: string, name: string): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id)
    values (gen_random_uuid(), ${topic}, 'k', 'order.created', '', '2026-01-05T08:00:00.123Z', '', ${name}) returning id`;
  return row?.id ?? "";
}

/** The names of the facts that the slot still has. */
async function inSlot({ sql }: Database, slot: string): Promise<string[]> {
  const rows = await sql<{ data: Uint8Array }[]>`
    select data from pg_logical_slot_peek_binary_changes(${slot}, null, null, 'proto_version', '1', 'publication_names', 'bodega_outbox')`;
  const inserts = rows.map(({ data }) => Buffer.from(data).toString("latin1")).filter((data) => data.startsWith("I"));
  return inserts.map((data) => data.slice(data.lastIndexOf("\0") + 2));
}
