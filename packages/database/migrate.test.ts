import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { testDatabase } from "../../tests/kit/databases.ts";
import { openDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";
import { StartError } from "./start-error.ts";

setDefaultTimeout(60_000);

function folderWith(files: Record<string, string>): URL {
  const folder = mkdtempSync(join(tmpdir(), "bodega-migrations-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return pathToFileURL(`${folder}/`);
}

test("a migration that takes longer than any statement may is applied, says that it goes on, and another process waits for it", async () => {
  const { database, url } = await testDatabase();
  const folder = folderWith({ "0001_slow.sql": "create table slow (id int); select pg_sleep(11)" });
  const other = openDatabase(url, "other");
  const told: string[] = [];
  const done = await Promise.all([
    migrate(database, folder, (name) => told.push(name)),
    migrate(other, folder, (name) => told.push(name)),
  ]);
  expect(done.flat()).toEqual(["service/0001_slow.sql"]);
  expect(new Set(told)).toEqual(new Set(["service/0001_slow.sql", "those of another process"]));
  await Promise.all([database.close(), other.close()]);
});

test("an index is built without a transaction around it, so that the table can be written meanwhile", async () => {
  const { database } = await testDatabase();
  await database.sql`create table big as select generate_series(1, 1000) as number`;
  const folder = folderWith({
    "0001_index.sql":
      "-- Finds a number.\n-- no transaction\ncreate index concurrently if not exists big_number on big (number);",
  });
  expect(await migrate(database, folder)).toEqual(["service/0001_index.sql"]);
  expect(await migrate(database, folder)).toEqual([]);
  expect(await database.sql`select from pg_indexes where indexname = 'big_number'`).toHaveLength(1);
  await database.close();
});

test("one that fails leaves nothing behind, and those before it stay", async () => {
  const { database } = await testDatabase();
  const folder = folderWith({
    "0001_good.sql": "create table good (id int)",
    "0002_bad.sql": "create table bad (id int); select 1 / 0",
  });
  await expect(migrate(database, folder)).rejects.toThrow("division by zero");
  const names = await database.sql<{ name: string }[]>`select name from migrations where name like 'service/%'`;
  expect(names.map(({ name }) => name)).toEqual(["service/0001_good.sql"]);
  expect(await database.sql`select from pg_tables where tablename = 'bad'`).toHaveLength(0);
  await database.close();
});

test("what was contracted is refused to a version that does not know of it, and only then", async () => {
  const { database } = await testDatabase();
  const old = { "0001_goods.sql": "create table goods (id int, colour text)" };
  const expanded = { ...old, "0002_paint.sql": "alter table goods add column paint text" };
  const contracted = {
    ...expanded,
    "0003_colour.sql": "-- Nobody reads it any more.\n-- contracts\nalter table goods drop column colour",
  };
  await migrate(database, folderWith(expanded));
  expect(await migrate(database, folderWith(old))).toEqual([]);
  await migrate(database, folderWith(contracted));
  await expect(migrate(database, folderWith(expanded))).rejects.toThrow(
    new StartError(
      "The database is newer than this version, which needs what service/0003_colour.sql took away: start the version that brought that, or a newer one.",
    ),
  );
  expect(await migrate(database, folderWith(contracted))).toEqual([]);
  await database.close();
});
