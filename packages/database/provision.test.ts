import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { LogicalReplicationService, PgoutputPlugin } from "pg-logical-replication";
import { testPostgres } from "../../tests/kit/postgres.ts";
import { errorCode, openDatabase, type Sql } from "./database.ts";
import { databaseOn, keyOf, provision, relayOn } from "./provision.ts";
import { makePublication } from "./slot.ts";
import { StartError } from "./start-error.ts";
import { databaseAt } from "./url.ts";

setDefaultTimeout(60_000);

const SECRET = "the secret of this shop";
const [order, points] = [`t${process.pid}_routes_order`, `t${process.pid}_routes_points`];
let admin: string;
beforeAll(async () => {
  admin = await testPostgres();
  await provision(admin, { secret: SECRET, names: [order, points], relay: "wal" });
  const database = openDatabase(databaseOn(admin, keyOf(SECRET, points), points), "points");
  await database.sql`create table accounts as select 'gold' as secret`;
  await database.sql`select lo_from_bytea(4711, 'gold')`;
  await database.close();
});

/** What PostgreSQL answers to a service that tries; undefined when it let it. */
async function answerTo(attempt: (sql: Sql) => Promise<unknown>, url = databaseOn(admin, keyOf(SECRET, order), order)) {
  const database = openDatabase(url, "attacker");
  try {
    return await attempt(database.sql).then(() => undefined, errorCode);
  } finally {
    await database.close();
  }
}

const PRIVILEGE = "42501";
const NOT_THERE = "0A000";

describe("a service's role", () => {
  test("reaches its own database, and may make what it needs there", async () => {
    expect(await answerTo((sql) => sql`create table mine as select 1 as one`)).toBeUndefined();
  });

  const own = () => new URL(databaseOn(admin, keyOf(SECRET, order), order)).password;
  test.each<[string, string, (sql: Sql) => Promise<unknown>]>([
    ["becomes another role", PRIVILEGE, (sql) => sql.unsafe(`set role ${points}`)],
    ["becomes the superuser", PRIVILEGE, (sql) => sql.unsafe("set role postgres")],
    ["becomes its own relay", PRIVILEGE, (sql) => sql.unsafe(`set role ${order}_relay`)],
    ["gives itself the right to replicate", PRIVILEGE, (sql) => sql.unsafe(`alter role ${order} replication`)],
    ["sets another's password", PRIVILEGE, (sql) => sql.unsafe(`alter role ${points} password 'mine'`)],
    ["makes a role", PRIVILEGE, (sql) => sql.unsafe("create role thief")],
    ["copies another's database", PRIVILEGE, (sql) => sql.unsafe(`create database copy template ${points}`)],
    ["drops another's database", PRIVILEGE, (sql) => sql.unsafe(`drop database ${points}`)],
    ["gets dblink", PRIVILEGE, (sql) => sql.unsafe("create extension dblink")],
    ["gets a foreign server", PRIVILEGE, (sql) => sql.unsafe("create extension postgres_fdw")],
    ["gets files as tables", PRIVILEGE, (sql) => sql.unsafe("create extension file_fdw")],
    ["gets a language that may do anything", PRIVILEGE, (sql) => sql.unsafe("create extension plpython3u")],
    ["reads a file", PRIVILEGE, (sql) => sql.unsafe("select pg_read_file('postgresql.conf')")],
    ["lists the server's folder", PRIVILEGE, (sql) => sql.unsafe("select pg_ls_dir('.')")],
    ["imports a file", PRIVILEGE, (sql) => sql.unsafe("select lo_import('/etc/passwd')")],
    ["copies from a program", PRIVILEGE, (sql) => sql.unsafe("copy mine from program 'id'")],
    ["copies to a file", PRIVILEGE, (sql) => sql.unsafe("copy mine to '/tmp/bodega-stolen'")],
    ["reads the passwords", PRIVILEGE, (sql) => sql.unsafe("select * from pg_authid")],
    ["reads another's large object", "42704", (sql) => sql.unsafe("select lo_get(4711)")],
    ["reads across databases", NOT_THERE, (sql) => sql.unsafe(`select * from ${points}.public.accounts`)],
    ["makes a slot", PRIVILEGE, (sql) => sql.unsafe("select pg_create_logical_replication_slot('thief', 'pgoutput')")],
    [
      "ends another's session",
      PRIVILEGE,
      (sql) => sql`
      select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres' limit 1`,
    ],
    ["changes the server", PRIVILEGE, (sql) => sql.unsafe("alter system set log_statement = 'all'")],
  ])("is refused when it %s", async (_what, code, attempt) => {
    expect(await answerTo(attempt)).toBe(code);
  });

  test("is refused at another's database, by its own name and with its own password by the other's", async () => {
    const asItself = databaseAt(admin, points, order, own());
    const asTheOther = databaseAt(admin, points, points, own());
    expect(await answerTo((sql) => sql`select 1`, asItself)).toBe(PRIVILEGE);
    expect(await answerTo((sql) => sql`select 1`, asTheOther)).toBe("28P01");
  });

  test("is refused with every password that follows from its own key", async () => {
    const key = keyOf(SECRET, order);
    for (const guess of [key, keyOf(key, points), keyOf(key, order)])
      expect(await answerTo((sql) => sql`select 1`, databaseOn(admin, guess, points))).toBe("28P01");
    expect(await answerTo((sql) => sql`select 1`, relayOn(admin, key, points))).toBe("28P01");
  });

  test("is refused when it reads its own log, and its relay is not", async () => {
    const database = openDatabase(databaseOn(admin, keyOf(SECRET, order), order), "order");
    await database.sql`create table outbox (id int)`;
    await makePublication(database);
    const relay = openDatabase(relayOn(admin, keyOf(SECRET, order), order), "relay");
    const slot = `thief_${process.pid}`;
    await relay.sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`;
    expect(await replicates(databaseOn(admin, keyOf(SECRET, order), order), slot)).toContain("permission denied");
    await relay.sql`select pg_drop_replication_slot(${slot})`;
    await Promise.all([database.close(), relay.close()]);
  });

  // PostgreSQL has no right to read one log that is not the right to copy everything: docs/security.md says so, and why poll is the default.
  test("is not the relay's, which can copy the whole server", async () => {
    expect(await copies(relayOn(admin, keyOf(SECRET, order), order))).toBe("copied");
    expect(await copies(databaseOn(admin, keyOf(SECRET, order), order))).toContain("permission denied");
  });

  test("has no way to copy the server: its role may not replicate, and the private server takes no such connections at all", async () => {
    const database = openDatabase(admin, "admin");
    const rows = await database.sql<{ rolname: string }[]>`
      select rolname from pg_roles where rolname in (${order}, ${points}) and (rolreplication or rolsuper or rolcreaterole or rolcreatedb or rolbypassrls)`;
    expect([...rows]).toEqual([]);
    expect([...(await database.sql`select from pg_hba_file_rules where 'replication' = any(database)`)]).toEqual([]);
    expect([
      ...(await database.sql`
      select from pg_auth_members where member in (select oid from pg_roles where rolname in (${order}, ${points}))`),
    ]).toEqual([]);
    await database.close();
  });
});

test("the planted bug: a role of earlier versions could replicate, and provisioning takes that away", async () => {
  const name = `t${process.pid}_routes_old`;
  const database = openDatabase(admin, "admin");
  await database.sql.unsafe(`create role ${name} login replication password 'old'`);
  await provision(admin, { secret: SECRET, names: [name], relay: "poll" });
  const [role] = await database.sql`select rolreplication from pg_roles where rolname = ${name}`;
  expect(role?.["rolreplication"]).toBe(false);
  await database.close();
});

test("without a reader of the log its role and its slot are gone, so that the server keeps no log for nobody", async () => {
  const name = `t${process.pid}_routes_poll`;
  await provision(admin, { secret: SECRET, names: [name], relay: "wal" });
  const relay = openDatabase(relayOn(admin, keyOf(SECRET, name), name), "relay");
  await relay.sql`select pg_create_logical_replication_slot(${`bodega_relay_${name}`}, 'pgoutput')`;
  await relay.close();
  await provision(admin, { secret: SECRET, names: [name], relay: "poll" });
  const database = openDatabase(admin, "admin");
  expect([...(await database.sql`select from pg_replication_slots where slot_name like ${`%${name}`}`)]).toEqual([]);
  expect([...(await database.sql`select from pg_roles where rolname = ${`${name}_relay`}`)]).toEqual([]);
  await database.close();
});

test("a Bodega with another secret is refused with a sentence, the first goes on, and taking over is said aloud", async () => {
  const name = `t${process.pid}_routes_two`;
  const made = { names: [name], relay: "poll" as const };
  await provision(admin, { secret: "first", ...made });
  const refusal = await provision(admin, { secret: "second", ...made }).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(StartError);
  expect(String(refusal)).toContain("CLUSTER_SECRET");
  expect(await answerTo((sql) => sql`select 1`, databaseOn(admin, keyOf("first", name), name))).toBeUndefined();
  await provision(admin, { secret: "first", ...made });
  await provision(admin, { secret: "second", takeOver: true, ...made });
  expect(await answerTo((sql) => sql`select 1`, databaseOn(admin, keyOf("first", name), name))).toBe("28P01");
  expect(await answerTo((sql) => sql`select 1`, databaseOn(admin, keyOf("second", name), name))).toBeUndefined();
});

/** What the server says to a replication connection on a slot. */
async function replicates(connectionString: string, slot: string): Promise<string> {
  const service = new LogicalReplicationService(
    { connectionString },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  service.on("error", () => {});
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ["bodega_outbox"] });
  const said = await service.subscribe(plugin, slot).then(
    () => "let in",
    (error: unknown) => String(error),
  );
  await service.destroy();
  return said;
}

interface Copier {
  on(event: "error", handler: () => void): void;
  connect(): Promise<void>;
  query(text: string): Promise<unknown>;
  end(): Promise<void>;
}

/** What the server says to a replication connection that asks for a copy of everything. */
async function copies(connectionString: string): Promise<string> {
  // Of the driver below pg-logical-replication, which brings no types, this is used.
  const { Client } = (await import("pg" as string)) as { Client: new (options: object) => Copier };
  const client = new Client({ connectionString, replication: "database" });
  client.on("error", () => {});
  const said = await client
    .connect()
    .then(() => client.query("BASE_BACKUP (CHECKPOINT 'fast')"))
    .then(
      () => "copied",
      (error: unknown) => String(error),
    );
  await client.end();
  return said;
}
