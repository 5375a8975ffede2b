// What only a reader of the write-ahead log meets: commits that are not visible yet, and a slot that the server has given up. Each on a server of its own.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../tests/kit/eventually.ts";
import { startTestPostgres } from "../../tests/kit/postgres.ts";
import { createLog, type Line } from "../telemetry/log.ts";
import { type Database, openDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { outboxBacklog } from "./outbox.ts";
import { keyOf, provision, relayOn } from "./provision.ts";
import { slotName, slotState } from "./slot.ts";
import { startWalRelay } from "./wal.ts";

setDefaultTimeout(120_000);
const opened: Database[] = [];
afterAll(async () => {
  for (const database of opened) await database.close();
});

async function server() {
  const url = await startTestPostgres();
  const own = (await provision(url, { secret: "test", names: ["walt"], relay: "wal" })).get("walt") ?? "";
  const [admin, database] = [openDatabase(url, "admin"), openDatabase(own, "walt")];
  opened.push(admin, database);
  await migrate(database);
  const told: string[] = [];
  const lines: Line[] = [];
  const log = createLog((line) => void lines.push(line));
  return {
    admin,
    database,
    told,
    lines,
    slot: slotName("bodega_relay", database),
    left: async () => Number((await outboxBacklog(database.sql)).depth),
    relay: () =>
      startWalRelay(
        database,
        relayOn(url, keyOf("test", "walt"), "walt"),
        async (rows) => void told.push(...rows.map((row) => row.key)),
        log,
      ),
    async put(key: string) {
      await database.sql`
      insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, correlation_id)
      values (gen_random_uuid(), 'order', ${key}, 'order.created', '', now(), '', '')`;
    },
    async set(setting: string) {
      await admin.sql.unsafe(`alter system set ${setting}`);
      await admin.sql`select pg_reload_conf()`;
    },
  };
}

test("a fact is told when its commit is visible, with a synchronous standby not before that has it, and is then forgotten", async () => {
  const { admin, database, relay, put, told, left, set } = await server();
  const waiting = async () => (await admin.sql`select from pg_stat_activity where wait_event = 'SyncRep'`).length;
  const running = relay();
  await put("before");
  await eventually(async () => told.length === 1 && (await left()) === 0);
  // Before it streams, it makes its slot, which waits for every transaction that runs.
  await eventually(async () => {
    const streaming = await admin.sql`select from pg_stat_replication where state = 'streaming'`;
    return streaming.length > 0;
  });
  await set("synchronous_standby_names = 'standby'");
  // The server follows some time later: from the first commit that waits.
  const probe = admin.session();
  let follows = false;
  const probing = (async () => {
    while (!follows) await probe.sql`select pg_logical_emit_message(true, 'probe', '')`;
  })();
  await eventually(async () => {
    follows = (await waiting()) === 1;
    return follows;
  });
  const [asked] = await admin.sql<{ since: Date }[]>`select clock_timestamp() as since`;
  const committing = put("after");
  await eventually(async () => (await waiting()) === 2);
  // The relay has read the commit: it asks whether others see it.
  await eventually(async () => {
    const asking = await admin.sql`
      select from pg_stat_activity where datname = 'walt' and query like '%pg_visible_in_snapshot%' and query_start > ${asked?.since ?? null}`;
    return asking.length > 0;
  });
  expect(told).toEqual(["before"]);
  // Whoever leads holds on meanwhile, though it writes that down.
  await eventually(async () => {
    const held =
      await database.sql`select from leaders where held_until > ${asked?.since ?? null}::timestamptz + interval '4 s'`;
    return held.length > 0;
  });
  await set("synchronous_standby_names = ''");
  await Promise.all([committing, probing]);
  await probe.close();
  await eventually(() => told.length === 2);
  await eventually(async () => (await left()) === 0);
  await running.close();
  const again = relay();
  await put("last");
  await eventually(() => told.includes("last"));
  expect(told).toEqual(["before", "after", "last"]);
  await again.close();
});

test("a slot that the server gave up is made anew, and what was committed meanwhile is told", async () => {
  const { admin, database, relay, put, told, left, set, slot, lines } = await server();
  const first = relay();
  await put("before");
  await eventually(() => told.length === 1);
  await first.close();
  await put("while away");
  // For being idle: the limit of log that it keeps stands in the server's command line, where no setting overrules it, and is four gigabytes.
  await set("idle_replication_slot_timeout = '1s'");
  await eventually(async () => {
    await admin.sql`checkpoint`;
    return (await slotState(database, slot)) === "lost";
  });
  const second = relay();
  await eventually(() => told.includes("while away"));
  // Who tries to read a slot that was given up makes it look better for a moment; why it was given up stays.
  await eventually(async () => {
    const whole =
      await admin.sql`select from pg_replication_slots where slot_name = ${slot} and invalidation_reason is null`;
    return whole.length > 0;
  });
  await put("after");
  await eventually(async () => told.includes("after") && (await left()) === 0);
  expect(told.toSorted()).toEqual(["after", "before", "while away"]);
  expect(lines.map(({ event }) => event)).toContain("relay.slot_lost");
  await second.close();
});
