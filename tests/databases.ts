import { type Database, openDatabase } from "../packages/database/database.ts";
import { migrate } from "../packages/database/migrate.ts";
import { provision } from "../packages/database/provision.ts";
import { testPostgres } from "./postgres.ts";

let made = 0;

/** A fresh database with the platform's tables and those of `migrations`. */
export async function testDatabase(migrations?: URL): Promise<{ database: Database; url: string }> {
  const name = `t${process.pid}_one${made++}`;
  const url = (await provision(await testPostgres(), "test", [name])).get(name) ?? "";
  const database = openDatabase(url, name);
  await migrate(database, migrations);
  return { database, url };
}

export function brokerDatabase() {
  return testDatabase(new URL("../packages/events/migrations/", import.meta.url));
}
