import { expect, setDefaultTimeout, test } from "bun:test";
import { openDatabase } from "../packages/database/database.ts";
import { createLog, type Line } from "../packages/telemetry/log.ts";
import { createMetrics } from "../packages/telemetry/metrics.ts";
import { systemClock } from "../packages/time/clock.ts";
import { createFollowedTime } from "../packages/time/followed.ts";
import { systemRandom } from "../packages/time/random.ts";
import { startTestPostgres } from "../tests/kit/postgres.ts";
import { provision } from "../tests/kit/provision.ts";
import { loadServices } from "./all.ts";
import { keysFrom, keyVariable } from "./keys.ts";
import { startPlatform } from "./platform.ts";

setDefaultTimeout(60_000);

const CLUSTER_SECRET = "a secret that is long enough for it";

test("a server that is for some services gets the databases of those, with their tables, and no other", async () => {
  const DATABASE_URL = await startTestPostgres();
  await provision({ DATABASE_URL, CLUSTER_SECRET }, ["order", "product"]);
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

test("a service that comes first waits until its database is made ready, and then runs", async () => {
  const databaseUrl = await startTestPostgres();
  const { starting, awaited } = startStock(databaseUrl, new AbortController().signal);
  await awaited;
  await provision({ DATABASE_URL: databaseUrl, CLUSTER_SECRET }, ["stock"]);
  const platform = await starting;
  expect(platform.services.map(({ name }) => name)).toEqual(["stock"]);
  await platform.close();
});

// Its limit is less than the wait would be.
test("a service that waits for its database and is to end does so at once, and says what it was told", async () => {
  const ending = new AbortController();
  const { starting, awaited } = startStock(await startTestPostgres(), ending.signal);
  await awaited;
  ending.abort();
  expect(String(await starting.catch((error: unknown) => error))).toContain("bodega_stock");
}, 20_000);

/** `awaited` resolves when it has looked for its database in vain. */
function startStock(databaseUrl: string, ending: AbortSignal) {
  const { promise: awaited, resolve } = Promise.withResolvers<void>();
  const log = createLog(({ event }: Line) => {
    if (event === "database.awaited") resolve();
  });
  const own = { stock: keysFrom(CLUSTER_SECRET).get(keyVariable("stock")) ?? "" };
  const time = createFollowedTime();
  const clock = systemClock(1, { real: 0, business: 0 }, time.nowMs);
  const starting = loadServices(["stock"], {}).then((services) =>
    startPlatform({
      services,
      databaseUrl,
      databaseUrls: { broker: databaseUrl },
      databasePrefix: "bodega",
      keys: { own, services: [] },
      relay: "poll",
      clock,
      time,
      securityClock: clock,
      random: systemRandom(clock),
      log,
      metrics: createMetrics(),
      ending,
    }),
  );
  return { starting, awaited };
}
