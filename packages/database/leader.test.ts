import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { testDatabase } from "../../tests/kit/databases.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { startTcpProxy } from "../../tests/kit/tcp-proxy.ts";
import { createLog } from "../telemetry/log.ts";
import { type Bell, createBell } from "../time/bell.ts";
import type { Term } from "./campaign.ts";
import { type Database, openDatabase } from "./database.ts";
import { lead } from "./leader.ts";
import { nextOutbox } from "./outbox.ts";

setDefaultTimeout(60_000);
const quiet = createLog(() => {});
const started: { kill(signal?: NodeJS.Signals): void }[] = [];
afterEach(() => {
  for (const each of started.splice(0)) each.kill("SIGKILL");
});

test("a relay that is stopped in the middle of publishing is followed by another, and when it goes on it tells nothing out of order", async () => {
  const { database, url } = await relays();
  const old = await startRelay(url, "old");
  await put(database, 1, 10);
  await old.says("half of 10");
  old.stop();
  const next = await startRelay(url, "next");
  await put(database, 11, 14);
  await eventually(async () => (await toldBy(database, "next")).includes(14));
  old.goOn();
  await put(database, 15, 16);
  // What it had begun it brings to its end: by then all of it has been told by its follower, in order.
  await old.says("all of 10");
  await eventually(async () => (await firstTold(database)).length === 16);
  expect(await firstTold(database)).toEqual(numbers(1, 16));
  expect(await toldBy(database, "old")).toEqual(numbers(1, 10));
  expect(await toldBy(database, "next")).toEqual(numbers(1, 16));
  await Promise.all([old.end(), next.end()]);
  await database.close();
});

test("a relay that is killed in the middle of publishing is followed by another, which begins where that one had", async () => {
  const { database, url } = await relays();
  const old = await startRelay(url, "old");
  const next = await startRelay(url, "next");
  await put(database, 1, 10);
  await old.says("half of 10");
  old.kill();
  await eventually(async () => (await firstTold(database)).length === 10);
  expect(await toldBy(database, "next")).toEqual(numbers(1, 10));
  await next.end();
  await database.close();
});

test("a relay that is closed has forgotten what it told, and hands the lead over", async () => {
  const { database, url } = await relays();
  const old = await startRelay(url, "old");
  const next = await startRelay(url, "next");
  await put(database, 1, 10);
  await old.says("half of 10");
  await old.end();
  await put(database, 11, 12);
  await eventually(async () => (await firstTold(database)).length === 12);
  expect([await toldBy(database, "old"), await toldBy(database, "next")]).toEqual([numbers(1, 10), numbers(11, 12)]);
  await next.end();
  await database.close();
});

test("who has lost the lead finds nothing and forgets nothing, whatever it believes", async () => {
  const { database } = await relays();
  const old = stand(database);
  await eventually(() => old.term !== undefined);
  await put(database, 1, 3);
  const read = await nextOutbox(database.sql, there(old.term), [], 10);
  expect(read.map(({ position }) => position)).toEqual([1n, 2n, 3n]);
  await database.sql`update leaders set holder = 'another', epoch = epoch + 1`;
  const published = read.map(({ position }) => position);
  expect(await nextOutbox(database.sql, there(old.term), published, 10)).toEqual([]);
  expect(await database.sql`select from outbox`).toHaveLength(3);
  await eventually(() => !there(old.term).alive());
  await old.close();
  await database.close();
});

test("a leader whose session is lost leads on, and is known by its new one", async () => {
  const { database } = await relays();
  const leader = stand(database);
  await eventually(() => leader.term !== undefined);
  const session = async () => {
    const [row] = await database.sql<{ pid: number; open: boolean; epoch: bigint }[]>`
      select session_pid as pid, session_pid in (select pid from pg_stat_activity) as open, epoch from leaders`;
    return there(row);
  };
  const { pid, epoch } = await session();
  await database.sql`select pg_terminate_backend(${pid})`;
  await eventually(async () => {
    const now = await session();
    return now.open && now.pid !== pid && now.epoch === epoch;
  });
  await leader.close();
  await database.close();
});

test("a server whose clock was set back takes no lead for longer than a lease", async () => {
  const { database } = await relays();
  await database.sql`insert into leaders select 'work', 7, 'frozen', clock_timestamp() + interval '1 hour', pid, backend_start
    from pg_stat_get_activity(pg_backend_pid())`;
  const next = stand(database);
  await eventually(() => next.term !== undefined);
  expect(there(next.term).epoch).toBe(8n);
  await next.close();
  await database.close();
});

test("a leader that hears nothing from its database stops by itself, and another leads who does", async () => {
  const { database, url } = await relays();
  const proxy = await startTcpProxy({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const apart = openDatabase(Object.assign(new URL(url), { port: proxy.port }).href, "apart");
  const old = stand(apart);
  await eventually(() => old.term !== undefined);
  const next = stand(database);
  proxy.swallow();
  await eventually(() => next.term !== undefined);
  expect(there(old.term).alive()).toBe(false);
  expect(there(next.term).epoch).toBe(there(old.term).epoch + 1n);
  proxy.pass();
  await Promise.all([old.close(), next.close()]);
  await proxy.end();
  await Promise.all([apart.close(), database.close()]);
});

test("who stands by for twenty things has one session in the database, and asks no oftener than who leads them is heard of", async () => {
  const { database, url } = await relays();
  const names = Array.from({ length: 20 }, (_, index) => `thing ${index}`);
  const leader = openDatabase(url, "leader");
  const leading = names.map((name) => stand(leader, name));
  await eventually(() => leading.every(({ term }) => term !== undefined));
  const standby = openDatabase(url, "standby");
  const standing = names.map((name) => stand(standby, name));
  const seen = { leader: new Set<string>(), standby: new Set<string>(), sessions: new Set<number>() };
  await eventually(async () => {
    const rows = await database.sql<{ name: string; pid: number; query_start: Date | null }[]>`
      select application_name as name, pid, query_start from pg_stat_activity where datname = current_database()`;
    for (const { name, pid, query_start } of rows) {
      if (name.startsWith("bodega-leader")) seen.leader.add(String(query_start?.getTime()));
      if (!name.startsWith("bodega-standby")) continue;
      seen.sessions.add(pid);
      seen.standby.add(String(query_start?.getTime()));
    }
    return seen.leader.size > 5;
  });
  expect(seen.sessions.size).toBe(1);
  // To connect and to listen are two more.
  expect(seen.standby.size).toBeLessThanOrEqual(seen.leader.size + 3);
  expect(standing.every(({ term }) => term === undefined)).toBe(true);
  await Promise.all([...leading, ...standing].map((each) => each.close()));
  await Promise.all([leader.close(), standby.close(), database.close()]);
});

async function relays() {
  const made = await testDatabase();
  await made.database
    .sql`create table told (position bigint generated always as identity, who text, key text, number int)`;
  return made;
}

function put(database: Database, from: number, to: number) {
  return database.sql`insert into outbox (id, aggregatetype, aggregateid, type, payload, time, traceparent, request_id)
    select gen_random_uuid(), 'order', 'a', 'order.created', set_byte('\\x00', 0, number), clock_timestamp(), '', ''
    from generate_series(${from}::int, ${to}::int) as number`;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

async function toldBy({ sql }: Database, who: string): Promise<number[]> {
  const rows = await sql<{ number: number }[]>`select distinct number from told where who = ${who} order by number`;
  return rows.map(({ number }) => number);
}

/** The order in which somebody hears it who passes over what comes again. */
async function firstTold({ sql }: Database): Promise<number[]> {
  const rows = await sql<{ number: number }[]>`select number from told group by number order by min(position)`;
  return rows.map(({ number }) => number);
}

async function startRelay(url: string, name: string) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../tests/kit/relay-process.ts"), url, name], {
    stdout: "pipe",
    stderr: "ignore",
  });
  started.push(child);
  let said = "";
  void (async () => {
    for await (const chunk of child.stdout) said += Buffer.from(chunk).toString();
  })();
  const says = (what: string) => eventually(() => said.includes(what));
  await says("started");
  return {
    says,
    stop: () => child.kill("SIGSTOP"),
    goOn: () => child.kill("SIGCONT"),
    kill: () => child.kill("SIGKILL"),
    async end() {
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    },
  };
}

/** One that leads, when it does, until it is closed. */
function stand(database: Database, name = "work") {
  const bell: Bell = createBell();
  const standing: { term?: Term; close(): Promise<void> } = {
    close() {
      bell.close();
      return running;
    },
  };
  const running = lead(database, name, bell, quiet, async (term) => {
    standing.term ??= term;
    while (term.alive()) await bell.rung(100);
    // Once lost, lost for good: the test looks at the first term.
    while (!bell.closed()) await bell.rung(100);
  });
  return standing;
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a term, found none");
  return value;
}
