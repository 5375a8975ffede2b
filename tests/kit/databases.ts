import { type Database, openDatabase } from "../../packages/database/database.ts";
import { migrate } from "../../packages/database/migrate.ts";
import { keyOf, provision, relayOn } from "../../packages/database/provision.ts";
import { testPostgres } from "./postgres.ts";

let made = 0;

/** A fresh database with the platform's tables and those of `migrations`. */
export async function testDatabase(migrations?: URL): Promise<{ database: Database; url: string; relayUrl: string }> {
  const name = `t${process.pid}_one${made++}`;
  const admin = await testPostgres();
  const url = (await provision(admin, { secret: "test", names: [name], relay: "wal" })).get(name) ?? "";
  const database = openDatabase(url, name);
  await migrate(database, migrations);
  return { database, url, relayUrl: relayOn(admin, keyOf("test", name), name) };
}

export function brokerDatabase() {
  return testDatabase(new URL("../../packages/events/migrations/", import.meta.url));
}

/** The database of a service beside the one that `url` names, for an operator. */
export function databaseOf(service: string, url: string): string {
  return Object.assign(new URL(url), { pathname: `/bodega_${service}` }).href;
}

export async function dropDatabases(url: string, prefix: string) {
  const admin = openDatabase(url, "cleanup");
  const slots = await admin.sql<
    { slot_name: string }[]
  >`select slot_name from pg_replication_slots where database like ${`${prefix}_%`}`;
  for (const { slot_name } of slots) await admin.sql`select pg_drop_replication_slot(${slot_name})`;
  const rows = await admin.sql<
    { datname: string }[]
  >`select datname from pg_database where datname like ${`${prefix}_%`}`;
  for (const { datname } of rows) {
    await admin.sql.unsafe(`drop database ${datname} with (force)`);
    await admin.sql.unsafe(`drop role ${datname}`);
    await admin.sql.unsafe(`drop role if exists ${datname}_relay`);
  }
  await admin.close();
}
