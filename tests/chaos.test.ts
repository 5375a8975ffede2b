// Twenty kills at random under load, and then everything is counted. CHAOS_SEED repeats a run's orders and moments, CHAOS_KILLS
// makes it shorter or longer, CHAOS_KEEP=1 leaves the data and the log for a look.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../packages/database/database.ts";
import { CHECKS } from "./chaos/checks.ts";
import { type Client, createClient } from "./chaos/client.ts";
import { createDice } from "./chaos/dice.ts";
import { killAgainAndAgain, type Place, ready, type Victim } from "./chaos/killing.ts";
import { startLoad } from "./chaos/load.ts";
import { freePorts, killPostgres, startProgram } from "./chaos/program.ts";
import { ADMIN, openShop } from "./chaos/shop.ts";
import { type Databases, readState, type State, waiting } from "./chaos/state.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const KILLS = Number(process.env["CHAOS_KILLS"] ?? 20);
/** The 24 hours of an order in 36 seconds: longer than the lease that a killed effect leaves behind. */
const TIME_SCALE = 2_400;
const DAY_MS = 86_400_000;
const CUSTOMERS = 4;
const QUIET_MS_MAX = 120_000;
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
      const state = await live(victim, place);
      const findings = Object.entries(CHECKS).map(([name, check]) => ({ name, found: check(state) }));
      report(findings);
      expect(findings.filter(({ found }) => found.length > 0)).toEqual([]);
      expect(state.acknowledged.length).toBeGreaterThan(KILLS * 5);
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

async function live(victim: Victim, place: Place): Promise<State> {
  const client = createClient(place.base, createDice(SEED + 1));
  const shop = await openShop(client, `http://127.0.0.1:${place.env["MAIL_PORT"]}`, CUSTOMERS);
  const load = startLoad(client, shop, createDice(SEED + 2), DAY_MS / TIME_SCALE);
  await killAgainAndAgain(victim, place, KILLS, createDice(SEED + 3));
  await load.stop();
  const opened = openAll(place.dataDir);
  try {
    await quiet(client, shop.adminToken, opened.sql);
    const { real, business, scale } = JSON.parse(readFileSync(join(place.dataDir, "clock.json"), "utf8"));
    const businessTime = (ms: number) => new Date(business + (ms - real) * scale);
    const state = {
      ...(await readState(client, shop, load, opened.sql)),
      now: businessTime(Date.now()),
      scale,
      outages: victim.outages.map(({ from, to }) => ({ from: businessTime(from), to: businessTime(to) })),
    };
    tell(state, client, victim);
    return state;
  } finally {
    await Promise.all(opened.databases.map((database) => database.close()));
  }
}

/** The product's own databases, as an operator may open them. */
function openAll(dataDir: string): { sql: Databases; databases: Database[] } {
  const password = readFileSync(join(dataDir, "postgres/superuser-password"), "utf8").trim();
  const port = readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n")[3];
  const open = (name: string) =>
    openDatabase(`postgres://postgres:${password}@127.0.0.1:${port}/bodega_${name}`, "chaos");
  const [order, stock, payment, mail, broker] = [
    open("order"),
    open("stock"),
    open("payment"),
    open("mail"),
    open("broker"),
  ];
  return {
    sql: { order: order.sql, stock: stock.sql, payment: payment.sql, mail: mail.sql, broker: broker.sql },
    databases: [order, stock, payment, mail, broker],
  };
}

/** Until nothing is on its way and no timer is armed: by then the last order has lived its 24 hours. */
async function quiet(client: Client, adminToken: string, databases: Databases): Promise<void> {
  let left = 0;
  for (const patience = AbortSignal.timeout(QUIET_MS_MAX); !patience.aborted; await Bun.sleep(500)) {
    left = await waiting(client, adminToken, databases);
    if (left === 0) return;
  }
  say(`chaos: ${left} messages and timers were still there after ${QUIET_MS_MAX} ms`);
}

function tell(state: State, { tries }: Client, { kills, outages }: Victim): void {
  const statuses = Map.groupBy(state.orders, ({ status, cancelReason }) =>
    cancelReason ? `${status} ${cancelReason}` : status,
  );
  const list = (counts: Iterable<[string, number]>) =>
    Array.from(counts, ([name, count]) => `${count} ${name}`).join(", ");
  const lateMs = state.orders
    .filter(({ cancelReason }) => cancelReason === "EXPIRED")
    .map(({ cancelledAt, expiresAt }) => ((cancelledAt?.getTime() ?? 0) - expiresAt.getTime()) / state.scale);
  const handOvers = state.caught.reduce((sum, { handOvers: times }) => sum + times, 0);
  const refunded = state.checkouts.filter((checkout) => checkout.refunded > 0n).length;
  say(
    `  kills       ${list(Object.entries(kills))}; longest outage ${Math.max(...outages.map(({ from, to }) => to - from))} ms`,
  );
  say(`  asked       ${tries.asked} times, ${tries.unanswered} unanswered, ${tries.unavailable} told to come back`);
  say(`  orders      ${list(Array.from(statuses, ([name, orders]): [string, number] => [name, orders.length]))}`);
  say(`  told        ${state.acknowledged.length} times; money given back for ${refunded} orders`);
  say(`  expired     at most ${Math.round(Math.max(0, ...lateMs))} ms late`);
  say(
    `  mails       ${state.caught.length}, handed over again under the same Message-ID: ${handOvers - state.caught.length}`,
  );
}

function report(findings: { name: string; found: string[] }[]): void {
  for (const { name, found } of findings) {
    say(`  ${String(found.length).padStart(6)}  ${name}`);
    for (const sentence of found.slice(0, 5)) say(`            ${sentence}`);
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
