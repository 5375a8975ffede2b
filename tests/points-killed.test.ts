// The whole program, and its database, are killed again and again while customers pay with points; then everything is counted.
// CHAOS_SEED repeats a run's orders and moments, POINTS_KILLS makes it shorter or longer.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "./chaos/client.ts";
import { createDice } from "./chaos/dice.ts";
import { killAgainAndAgain, type Place, ready, type Victim } from "./chaos/killing.ts";
import { freePorts, killPostgres, startProgram } from "./chaos/program.ts";
import { ADMIN, openShop } from "./chaos/shop.ts";
import { countPoints, startBuyers } from "./points-buyers.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const KILLS = Number(process.env["POINTS_KILLS"] ?? 6);
/** The 24 hours of an order in 36 seconds. A hold's thirty seconds do not shrink. */
const TIME_SCALE = 2_400;
const CUSTOMERS = 4;

test(`after ${KILLS} kills while points are paid no order is half paid, and every point and cent is accounted for`, async () => {
  process.stderr.write(`points: CHAOS_SEED=${SEED}\n`);
  const place = await newPlace();
  const victim: Victim = { program: startProgram(place.env, place.logFile), outages: [], kills: {} };
  try {
    await victim.program.open();
    await ready(place.base);
    const client = createClient(place.base, createDice(SEED + 1));
    const shop = await openShop(client, `http://127.0.0.1:${place.env["MAIL_PORT"]}`, CUSTOMERS);
    const buyers = await startBuyers(client, shop, place.base, createDice(SEED + 2));
    await killAgainAndAgain(victim, place, KILLS, createDice(SEED + 3));
    const told = await buyers.stop();
    process.stderr.write(`points: killed ${JSON.stringify(victim.kills)}\n`);
    expect(await countPoints(urlsIn(place.dataDir), shop, told)).toEqual([]);
    expect(client.unexpected).toEqual([]);
    expect(told.length).toBeGreaterThan(KILLS * 3);
  } finally {
    victim.program.signal("SIGKILL");
    await victim.program.exited;
    killPostgres(place.dataDir);
    rmSync(join(place.dataDir, ".."), { recursive: true, force: true });
  }
}, 600_000);

async function newPlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-points-"));
  const dataDir = join(folder, "data");
  const ports = await freePorts();
  const env = {
    ...ports,
    DATA_DIR: dataDir,
    TIME_SCALE: String(TIME_SCALE),
    RATE_LIMITS: "off",
    DEMO: "on",
    KITCHEN_STAFF: "on",
  };
  const admin = { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };
  return {
    dataDir,
    logFile: join(folder, "log"),
    env: { ...env, ...admin },
    base: `http://127.0.0.1:${ports["PORT"]}`,
  };
}

function urlsIn(dataDir: string): (service: string) => string {
  const password = readFileSync(join(dataDir, "postgres/superuser-password"), "utf8").trim();
  const port = readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n")[3];
  return (service) => `postgres://postgres:${password}@127.0.0.1:${port}/bodega_${service}`;
}
