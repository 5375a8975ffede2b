import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Database, Sql } from "./database.ts";

const PLATFORM = new URL("./migrations/", import.meta.url);
/** Any number that no other advisory lock of the platform uses. */
const MIGRATION_LOCK = 7_201;

/**
 * Applies the platform's and then the service's migrations, each once, in the order of their names. Several processes may do this at once.
 * Throws when a file that was applied has since been edited.
 */
export async function migrate(database: Database, folder?: URL): Promise<string[]> {
  const files = [
    ...(await migrationsIn(PLATFORM, "platform")),
    ...(folder ? await migrationsIn(folder, "service") : []),
  ];
  return database.transaction(async (sql) => {
    await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`;
    await sql`create table if not exists migrations (name text primary key, sha256 text not null, applied_at timestamptz not null default now())`;
    const applied = new Map(
      (await sql<{ name: string; sha256: string }[]>`select name, sha256 from migrations`).map((row) => [
        row.name,
        row.sha256,
      ]),
    );
    const done: string[] = [];
    for (const file of files) {
      const sha256 = applied.get(file.name);
      if (sha256 === undefined) {
        await apply(sql, file);
        done.push(file.name);
      } else if (sha256 !== file.sha256) {
        throw new Error(
          `migration ${file.name} was applied with other text (sha256 ${sha256}, now ${file.sha256}): write a new migration instead of editing it`,
        );
      }
    }
    return done;
  });
}

interface Migration {
  name: string;
  text: string;
  sha256: string;
}

async function migrationsIn(folder: URL, prefix: string): Promise<Migration[]> {
  const path = fileURLToPath(folder);
  const names = (await readdir(path)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(path, name), "utf8");
      return { name: `${prefix}/${basename(name)}`, text, sha256: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

async function apply(sql: Sql, { name, text, sha256 }: Migration) {
  await sql.unsafe(text).simple();
  await sql`insert into migrations (name, sha256) values (${name}, ${sha256})`;
}
