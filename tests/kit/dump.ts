import type { System } from "./system.ts";

/** What machinery, not the story, changes when a message comes again, or when a minute has passed. */
const MACHINERY = new Set(["inbox", "jobs", "outbox", "leaders", "hearing", "migrations"]);

/** Every row of every table of every service, so that two states can be compared whole. */
export async function dumpAll({ platform }: System): Promise<Record<string, string[]>> {
  const dump: Record<string, string[]> = {};
  for (const { name, app } of platform.services) {
    const tables = await app.sql<
      { table_name: string }[]
    >`select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`;
    for (const { table_name } of tables) {
      if (MACHINERY.has(table_name)) continue;
      const rows: { row: string }[] = await app.sql.unsafe(`select row_to_json(t)::text as row from ${table_name} t`);
      dump[`${name}.${table_name}`] = rows.map(({ row }) => row).sort();
    }
  }
  return dump;
}
