// The whole program, and its database, are killed again and again while customers pay with points; then everything is counted.
// CHAOS_SEED repeats a run's orders and moments, POINTS_KILLS makes it shorter or longer.
import { expect, test } from "bun:test";
import { SEED } from "../kit/seed.ts";
import { say } from "./books.ts";
import { createClient } from "./client.ts";
import { createDice } from "./dice.ts";
import { killAgainAndAgain, withVictim } from "./killing.ts";
import { urlsIn } from "./place.ts";
import { countPoints, startBuyers } from "./points-buyers.ts";
import { openShop } from "./shop.ts";

const KILLS = Number(process.env["POINTS_KILLS"] ?? 6);
const CUSTOMERS = 4;

test(`after ${KILLS} kills while points are paid no order is half paid, and every point and cent is accounted for`, async () => {
  say(`points: CHAOS_SEED=${SEED}`);
  await withVictim(async (victim, place) => {
    const client = createClient(place.base, createDice(SEED + 1));
    const shop = await openShop(client, place.mailUrl, CUSTOMERS);
    const buyers = await startBuyers(client, shop, place.base, createDice(SEED + 2));
    await killAgainAndAgain(victim, place, KILLS, createDice(SEED + 3));
    const told = await buyers.stop();
    say(`points: killed ${JSON.stringify(victim.kills)}`);
    expect(await countPoints(urlsIn(place.dataDir), shop, told)).toEqual([]);
    expect(client.unexpected).toEqual([]);
    expect(told.length).toBeGreaterThan(KILLS * 3);
  });
}, 600_000);
