// Twenty kills at random under load, and then everything is counted. CHAOS_SEED repeats a run's orders and moments, CHAOS_KILLS
// makes it shorter or longer, CHAOS_KEEP=1 leaves the data and the log for a look.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Books, closeBooks, report, type ScaledTime, say, tell } from "./chaos/books.ts";
import { createClient } from "./chaos/client.ts";
import { createDice } from "./chaos/dice.ts";
import { killAgainAndAgain, type Place, ready, type Victim } from "./chaos/killing.ts";
import { startLoad } from "./chaos/load.ts";
import { freePorts, killPostgres, startProgram } from "./chaos/program.ts";
import { ADMIN, openShop } from "./chaos/shop.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const KILLS = Number(process.env["CHAOS_KILLS"] ?? 20);
/** The 24 hours of an order in 36 seconds: longer than the lease that a killed effect leaves behind. */
const TIME_SCALE = 2_400;
const DAY_MS = 86_400_000;
const CUSTOMERS = 4;
const TEST_MS_MAX = 600_000;

test(
  `after ${KILLS} kills under load nothing is lost, doubled or forgotten`,
  async () => {
    say(`chaos: CHAOS_SEED=${SEED}`);
    const place = await newPlace();
    const victim: Victim = { program: startProgram(place.env, place.logFile), outages: [], kills: {} };
    try {
      await victim.program.open();
      await ready(place.base);
      const books = await live(victim, place);
      report(books);
      expect(books.findings.filter(({ found }) => found.length > 0)).toEqual([]);
      expect(books.state.acknowledged.length).toBeGreaterThan(KILLS * 5);
    } finally {
      victim.program.signal("SIGKILL");
      await victim.program.exited;
      killPostgres(place.dataDir);
      if (process.env["CHAOS_KEEP"]) say(`kept: ${place.dataDir}`);
      else rmSync(join(place.dataDir, ".."), { recursive: true, force: true });
    }
  },
  TEST_MS_MAX,
);

async function newPlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "bodega-chaos-"));
  const dataDir = join(folder, "data");
  const ports = await freePorts();
  const env = {
    ...ports,
    DATA_DIR: dataDir,
    TIME_SCALE: String(TIME_SCALE),
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMITS: "off",
    DEMO: "on",
    KITCHEN_STAFF: "on",
  };
  return { dataDir, logFile: join(folder, "log"), env, base: `http://127.0.0.1:${ports["PORT"]}` };
}

async function live(victim: Victim, place: Place): Promise<Books> {
  const client = createClient(place.base, createDice(SEED + 1));
  const shop = await openShop(client, `http://127.0.0.1:${place.env["MAIL_PORT"]}`, CUSTOMERS);
  const load = startLoad(client, shop, createDice(SEED + 2), DAY_MS / TIME_SCALE);
  await killAgainAndAgain(victim, place, KILLS, createDice(SEED + 3));
  await load.stop();
  const time: ScaledTime = JSON.parse(readFileSync(join(place.dataDir, "clock.json"), "utf8"));
  const { outages, kills } = victim;
  const books = await closeBooks({ client, shop, load, outages, time }, urlsIn(place.dataDir));
  tell(books, client, kills, outages);
  return books;
}

function urlsIn(dataDir: string): (service: string) => string {
  const password = readFileSync(join(dataDir, "postgres/superuser-password"), "utf8").trim();
  const port = readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n")[3];
  return (service) => `postgres://postgres:${password}@127.0.0.1:${port}/bodega_${service}`;
}
