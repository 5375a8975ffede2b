// Twenty kills at random under load, and then everything is counted. CHAOS_SEED repeats a run's orders and moments, CHAOS_KILLS
// makes it shorter or longer, CHAOS_KEEP=1 leaves the data and the log for a look.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SEED } from "../kit/seed.ts";
import { type Books, closeBooks, report, type ScaledTime, say, tell } from "./books.ts";
import { createClient } from "./client.ts";
import { createDice } from "./dice.ts";
import { killAgainAndAgain, type Victim, withVictim } from "./killing.ts";
import { startLoad } from "./load.ts";
import { type Place, urlsIn } from "./place.ts";
import { openShop } from "./shop.ts";

const KILLS = Number(process.env["CHAOS_KILLS"] ?? 20);
const CUSTOMERS = 4;
const TEST_MS_MAX = 600_000;

test(
  `after ${KILLS} kills under load nothing is lost, doubled or forgotten`,
  async () => {
    say(`chaos: CHAOS_SEED=${SEED}`);
    await withVictim(async (victim, place) => {
      const books = await live(victim, place);
      report(books);
      expect(books.findings.filter(({ found }) => found.length > 0)).toEqual([]);
      expect(books.state.acknowledged.length).toBeGreaterThan(KILLS * 5);
    });
  },
  TEST_MS_MAX,
);

async function live(victim: Victim, place: Place): Promise<Books> {
  const client = createClient(place.base, createDice(SEED + 1));
  const shop = await openShop(client, place.mailUrl, CUSTOMERS);
  const load = startLoad(client, shop, createDice(SEED + 2));
  await killAgainAndAgain(victim, place, KILLS, createDice(SEED + 3));
  await load.stop();
  const time: ScaledTime = JSON.parse(readFileSync(join(place.dataDir, "clock.json"), "utf8"));
  const { outages, kills } = victim;
  const books = await closeBooks({ client, shop, load, outages, time }, urlsIn(place.dataDir));
  tell(books, client, kills, outages);
  return books;
}
