// The coordinator and the participant of the two-phase commit in processes of their own, each killed at moments nobody chose, and both at once.
// CHAOS_SEED repeats a run.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { say } from "../chaos/books.ts";
import { createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { countPoints, startBuyers } from "../chaos/points-buyers.ts";
import { openShop } from "../chaos/shop.ts";
import { databaseOf, dropDatabases } from "../kit/databases.ts";
import { testPostgres } from "../kit/postgres.ts";
import { SEED } from "../kit/seed.ts";
import { createProcesses, type Processes } from "./processes.ts";

setDefaultTimeout(400_000);

const CUSTOMERS = 4;
const KILLS = 12;
const VICTIMS = [["order"], ["points"], ["order", "points"]];

let processes: Processes;
beforeAll(async () => {
  say(`points: CHAOS_SEED=${SEED}`);
  processes = await createProcesses({
    DATABASE_URL: await testPostgres(),
    TIME_SCALE_SINCE: new Date().toISOString(),
  });
  await processes.startAll();
});
afterAll(async () => {
  await processes.close();
  await dropDatabases(await testPostgres(), "bodega");
});

test(`after ${KILLS} kills of order, of points and of both no order is half paid, and every point and cent is accounted for`, async () => {
  const dice = createDice(SEED);
  const client = createClient(processes.url, createDice(SEED + 1));
  const shop = await openShop(client, processes.mailUrl, CUSTOMERS);
  const buyers = await startBuyers(client, shop, processes.url, createDice(SEED + 2));
  for (let done = 0; done < KILLS; done++) {
    await Bun.sleep(dice.between(200, 2_000));
    const names = dice.pick(VICTIMS);
    await Promise.all(names.map((name) => processes.end(name, "SIGKILL")));
    for (const name of names) {
      await Bun.sleep(dice.between(0, 800));
      processes.start(name);
    }
    await Promise.all(names.map((name) => processes.open(name)));
  }
  const told = await buyers.stop();
  const url = await testPostgres();
  expect(await countPoints((service) => databaseOf(service, url), shop, told)).toEqual([]);
  expect(client.unexpected).toEqual([]);
  expect(told.length).toBeGreaterThan(KILLS * 3);
});
