// Every service in a process of its own: started in any order, replaced one after the other, killed at random, all the while customers
// order. Facts, jobs and locks are the embedded ones here, so that this runs everywhere. CHAOS_SEED repeats a run.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { openDatabase } from "../../packages/database/database.ts";
import { closeBooks, type Outage, report, say, tell } from "../chaos/books.ts";
import { type Client, createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { type Load, startLoad, TIME_SCALE } from "../chaos/load.ts";
import { openShop, type Shop } from "../chaos/shop.ts";
import { databaseOf, dropDatabases } from "../kit/databases.ts";
import { eventually } from "../kit/eventually.ts";
import { testPostgres } from "../kit/postgres.ts";
import { SEED } from "../kit/seed.ts";
import { createProcesses, type Processes, serviceOf } from "./processes.ts";

setDefaultTimeout(300_000);

const CUSTOMERS = 3;
const KILLS = 12;
/** So that starting a process takes what it takes, not what a busy machine leaves for it. */
const SLOWER = 2;
/** No request may fail here; on a busy machine one may take its time. */
const ANSWER_MS_MAX = 60_000;
/** What a service says of a database that has said nothing for about a second, as on a machine that is too busy. */
const SILENT = "the database does not answer";

const dice = createDice(SEED);
const since = new Date();
let processes: Processes;
let client: Client;
let shop: Shop;
let load: Load;
/** Of each service and of the edge one runs at a time; its second takes its place in the middle. */
let names: string[];

beforeAll(async () => {
  say(`CHAOS_SEED=${SEED}`);
  const env = { DATABASE_URL: await testPostgres(), TIME_SCALE_SINCE: since.toISOString() };
  processes = await createProcesses(env, { replicas: 2 });
  names = [...processes.gateways, ...processes.services].filter((name) => name.endsWith("-1"));
  client = createClient(processes.url, createDice(SEED + 1), { answerMsMax: ANSWER_MS_MAX });
});

afterAll(async () => {
  await processes.close();
  await dropDatabases(await testPostgres(), "bodega");
});

test("the command that makes the databases leaves them with their tables, before any service has run", async () => {
  const url = await testPostgres();
  for (const service of ["order", "stock", "mail"]) {
    const { sql, close } = openDatabase(databaseOf(service, url), "apart");
    const [newest] = await sql<{ name: string }[]>`select name from migrations order by name desc limit 1`;
    await close();
    expect(newest?.name).toStartWith("service/");
  }
});

test("they start in any order, and one that comes twice to the same database changes nothing", async () => {
  for (const name of shuffled(names)) {
    processes.start(name);
    if (dice.chance(0.5)) await Bun.sleep(dice.between(0, 400));
  }
  await processes.end("order-1", "SIGTERM");
  processes.start("order-1");
  await Promise.all(names.map((name) => processes.open(name)));
  await processes.open("gateway-1", "readyz");
  shop = await openShop(client, processes.mailUrl, CUSTOMERS);
  load = startLoad(client, shop, createDice(SEED + 2), { slower: SLOWER });
});

test("while one of them is away the edge says so, and calls it by its name", async () => {
  await processes.end("kitchen-1", "SIGTERM");
  const ready = async () => {
    const answer = await fetch(`${processes.url}/readyz`);
    return `${answer.status} ${await answer.text()}`;
  };
  // The answer is kept for a second; and who is only slow is named too, until it answers.
  await eventually(async () => /^503 .*"kitchen":"unreachable"/.test(await ready()));
  await eventually(async () => /^503 .*"order":"ok"/.test(await ready()));
  const headers = { authorization: `Bearer ${shop.adminToken}` };
  const tickets = await fetch(`${processes.url}/v1/tickets`, { headers });
  expect([tickets.status, tickets.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await tickets.json()).toMatchObject({
    reason: "UNAVAILABLE",
    detail: "bodega.kitchen.v1.KitchenService cannot be reached right now",
  });
  processes.start("kitchen-1");
  await processes.open("kitchen-1");
});

test("replaced one after the other under load, the new one first, they fail no request", async () => {
  const [from, before] = [new Date().toISOString(), client.attempts.length];
  // The edge has its load balancer for that.
  const replaced = shuffled(names.filter((name) => serviceOf(name) !== "gateway"));
  for (const old of replaced) {
    const next = old.replace(/1$/, "2");
    processes.start(next);
    await processes.open(next, "readyz");
    expect([old, await processes.end(old, "SIGTERM")]).toEqual([old, 0]);
    names.splice(names.indexOf(old), 1, next);
  }
  const failures = [...replaced, ...names].flatMap((name) => failuresIn(processes.log(name), from));
  expect(failures.filter((error) => error !== SILENT)).toEqual([]);
  const during = client.attempts.slice(before);
  const byMachine = failures.length > 0 ? /^504|REQUEST_IN_PROGRESS|a part of the platform/ : /^504/;
  expect(during.filter(({ turnedAway }) => turnedAway !== null && !byMachine.test(turnedAway))).toEqual([]);
  expect(during).not.toBeEmpty();
  expect(client.unexpected).toEqual([]);
});

test(`after ${KILLS} kills of one or another of them nothing is lost, doubled or forgotten`, async () => {
  const outages: Outage[] = [];
  const kills: Record<string, number> = {};
  for (let done = 0; done < KILLS; done++) {
    await Bun.sleep(dice.between(200, 1_500));
    const name = dice.pick(names);
    kills[serviceOf(name)] = (kills[serviceOf(name)] ?? 0) + 1;
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

/** What went wrong in RPCs since then, by a process's log. */
function failuresIn(log: string, from: string): string[] {
  return log.split("\n").flatMap((line) => {
    if (!line.includes('"event":"rpc.failed"')) return [];
    const { time, error } = JSON.parse(line);
    return time >= from ? [String(error)] : [];
  });
}
