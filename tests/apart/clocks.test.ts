// Machines whose clocks are two hours ahead or behind, each service on another one: PostgreSQL's clock decides, so the books are those of right clocks.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { closeBooks, report, say, tell } from "../chaos/books.ts";
import { type Client, createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { startLoad, TIME_SCALE } from "../chaos/load.ts";
import { openShop } from "../chaos/shop.ts";
import { databaseOf, dropDatabases } from "../kit/databases.ts";
import { testPostgres } from "../kit/postgres.ts";
import { SEED } from "../kit/seed.ts";
import { createProcesses, type Processes } from "./processes.ts";

setDefaultTimeout(300_000);
const HOURS_MS = 2 * 3_600_000;
const CUSTOMERS = 3;
const ORDERS = 30;

const since = new Date();
const wrongBy = new Map<string, number>();
let processes: Processes;
let client: Client;

beforeAll(async () => {
  say(`CHAOS_SEED=${SEED}`);
  processes = await createProcesses({
    DATABASE_URL: await testPostgres(),
    TIME_SCALE_SINCE: since.toISOString(),
  });
  ["gateway", ...processes.services].forEach((name, index) => {
    wrongBy.set(name, index % 2 === 0 ? HOURS_MS : -HOURS_MS);
    processes.setClock(name, wrongBy.get(name) ?? 0);
  });
  client = createClient(processes.url, createDice(SEED + 1));
});

afterAll(async () => {
  await processes.close();
  await dropDatabases(await testPostgres(), "bodega");
});

test("every process says how wrong its clock is, and no order, timer, mail or token goes wrong by it", async () => {
  await processes.startAll();
  const shop = await openShop(client, processes.mailUrl, CUSTOMERS);
  const load = startLoad(client, shop, createDice(SEED + 2));
  while (load.acknowledged.length < ORDERS) await Bun.sleep(50);
  await load.stop();
  const time = { real: since.getTime(), business: since.getTime(), scale: TIME_SCALE };
  const url = await testPostgres();
  const books = await closeBooks({ client, shop, load, outages: [], time }, (service) => databaseOf(service, url));
  tell(books, client, {}, []);
  report(books);
  expect(books.findings.filter(({ found }) => found.length > 0)).toEqual([]);
  for (const name of ["gateway", ...processes.services]) {
    const [, skew = "none"] = /"clock\.off".*?"skew_ms":(-?\d+)/.exec(processes.log(name)) ?? [];
    expect([name, Math.round(Number(skew) / 60_000)]).toEqual([name, (wrongBy.get(name) ?? 0) / 60_000]);
  }
});
