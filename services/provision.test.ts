import { expect, setDefaultTimeout, test } from "bun:test";
import { openDatabase } from "../packages/database/database.ts";
import { startTestPostgres } from "../tests/kit/postgres.ts";
import { provision } from "../tests/kit/provision.ts";

setDefaultTimeout(60_000);

test("a server that is for some services gets the databases of those, with their tables, and no other", async () => {
  const DATABASE_URL = await startTestPostgres();
  await provision({ DATABASE_URL, CLUSTER_SECRET: "a secret that is long enough for it" }, ["order", "product"]);
  const server = openDatabase(DATABASE_URL, "test");
  const order = openDatabase(DATABASE_URL.replace(/postgres$/, "bodega_order"), "test");
  try {
    const rows = await server.sql<{ datname: string }[]>`select datname from pg_database where datname like 'bodega%'`;
    expect(rows.map(({ datname }) => datname).toSorted()).toEqual(["bodega_order", "bodega_product"]);
    expect(await order.sql`select from pg_tables where tablename = 'orders'`).toHaveLength(1);
  } finally {
    await Promise.all([server.close(), order.close()]);
  }
});
