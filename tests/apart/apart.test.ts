// Every service in a process of its own: started in any order, restarted one after the other, killed at random, all the while customers
// order. Facts, jobs and locks are the embedded ones here, so that this runs everywhere. CHAOS_SEED repeats a run.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { closeBooks, type Outage, report, say, tell } from "../chaos/books.ts";
import { type Client, createClient } from "../chaos/client.ts";
import { createDice, SEED } from "../chaos/dice.ts";
import { type Load, startLoad, TIME_SCALE } from "../chaos/load.ts";
import { openShop, type Shop } from "../chaos/shop.ts";
import { databaseOf, dropDatabases } from "../databases.ts";
import { testPostgres } from "../postgres.ts";
import { createProcesses, type Processes } from "./processes.ts";

setDefaultTimeout(300_000);

const CUSTOMERS = 3;
const KILLS = 10;

const dice = createDice(SEED);
const since = new Date();
let processes: Processes;
let client: Client;
let shop: Shop;
let load: Load;

beforeAll(async () => {
  say(`CHAOS_SEED=${SEED}`);
  processes = await createProcesses({
    DATABASE_URL: await testPostgres(),
    TIME_SCALE_SINCE: since.toISOString(),
  });
  client = createClient(processes.url, createDice(SEED + 1));
});

afterAll(async () => {
  await processes.close();
  await dropDatabases(await testPostgres(), "bodega");
});

test("they start in any order, and one that comes twice to the same database changes nothing", async () => {
  for (const name of shuffled(["gateway", ...processes.services])) {
    processes.start(name);
    if (dice.chance(0.5)) await Bun.sleep(dice.between(0, 400));
  }
  await processes.end("order", "SIGTERM");
  processes.start("order");
  await Promise.all(["gateway", ...processes.services].map((name) => processes.open(name)));
  expect((await fetch(`${processes.url}/readyz`)).status).toBe(200);
  shop = await openShop(client, processes.mailUrl, CUSTOMERS);
  load = startLoad(client, shop, createDice(SEED + 2));
});

test("while one of them is away the edge says so, and calls it by its name", async () => {
  await processes.end("kitchen", "SIGTERM");
  const ready = await fetch(`${processes.url}/readyz`);
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ services: { kitchen: "unreachable", order: "ok" } });
  const headers = { authorization: `Bearer ${shop.adminToken}` };
  const tickets = await fetch(`${processes.url}/v1/tickets`, { headers });
  expect([tickets.status, tickets.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await tickets.json()).toMatchObject({
    reason: "UNAVAILABLE",
    detail: "bodega.kitchen.v1.KitchenService cannot be reached right now",
  });
  processes.start("kitchen");
  await processes.open("kitchen");
});

test("restarted one after the other, by SIGTERM and under load, they fail no request", async () => {
  const before = { ...client.tries };
  for (const name of shuffled(processes.services)) {
    expect([name, await processes.end(name, "SIGTERM")]).toEqual([name, 0]);
    processes.start(name);
    await processes.open(name);
  }
  expect(client.tries).toMatchObject({ unanswered: before.unanswered, unavailable: before.unavailable });
  expect(client.tries.asked).toBeGreaterThan(before.asked);
  expect(client.unexpected).toEqual([]);
});

test(`after ${KILLS} kills of one or another of them nothing is lost, doubled or forgotten`, async () => {
  const outages: Outage[] = [];
  const kills: Record<string, number> = {};
  for (let done = 0; done < KILLS; done++) {
    await Bun.sleep(dice.between(200, 1_500));
    const name = dice.pick(["gateway", ...processes.services]);
    kills[name] = (kills[name] ?? 0) + 1;
    const from = Date.now();
    await processes.end(name, "SIGKILL");
    await Bun.sleep(dice.between(0, 500));
    processes.start(name);
    await processes.open(name);
    outages.push({ from, to: Date.now() });
  }
  await load.stop();
  const time = { real: since.getTime(), business: since.getTime(), scale: TIME_SCALE };
  const url = await testPostgres();
  const books = await closeBooks({ client, shop, load, outages, time }, (service) => databaseOf(service, url));
  tell(books, client, kills, outages);
  report(books);
  expect(books.findings.filter(({ found }) => found.length > 0)).toEqual([]);
  expect(books.state.acknowledged.length).toBeGreaterThan(KILLS * 5);
});

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, at: dice.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
