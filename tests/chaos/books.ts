// The end of a run under faults: everything comes to rest, everything is read, everything is counted.
import { type Database, openDatabase } from "../../packages/database/database.ts";
import { CHECKS } from "./checks.ts";
import type { Client } from "./client.ts";
import type { Load } from "./load.ts";
import type { Shop } from "./shop.ts";
import { type CaughtState, type Databases, readState, type State, waiting } from "./state.ts";

const QUIET_MS_MAX = 120_000;
/** A broker that cannot be asked what it carries has had time to deliver it when nothing has moved for so long. */
const STILL_MS = 15_000;
/** Shorter than the pause before anything is tried again of which nobody knows, longer than a lease. */
const UNKNOWN_MS_MIN = 60_000;

/** The clock that orders live by: at `real` it showed `business`, and since then it runs `scale` times as fast. */
export interface ScaledTime {
  real: number;
  business: number;
  scale: number;
}

export interface Outage {
  /** Milliseconds of the machine's clock. */
  from: number;
  to: number;
}

export interface Finding {
  name: string;
  /** A sentence for each wrong thing. */
  found: string[];
}

export interface Books {
  state: State;
  findings: Finding[];
}

/**
 * Waits for quiet and reads the product's own databases as an operator may; `urlOf` tells where each is, undefined when there is none of that name. What would be tried
 * again only after minutes, because nobody knows whether it has happened, is tried at once.
 */
export async function closeBooks(
  run: {
    client: Client;
    shop: Shop;
    load: Load;
    outages: Outage[];
    time: ScaledTime;
    /** What a mail server that is not ours was handed; where nothing is said, the catcher took the mails. */
    caught?: () => Promise<CaughtState[]>;
  },
  urlOf: (service: string) => string | undefined,
): Promise<Books> {
  const { client, shop, load, outages, time } = run;
  const opened = openAll(urlOf);
  try {
    const businessTime = (ms: number) => new Date(time.business + (ms - time.real) * time.scale);
    await quiet(client, shop.adminToken, opened.sql, () => hasten(opened.sql, businessTime));
    const state = {
      ...(await readState(client, shop, load, opened.sql)),
      ...(run.caught && { caught: await run.caught() }),
      now: businessTime(Date.now()),
      scale: time.scale,
      outages: outages.map(({ from, to }) => ({ from: businessTime(from), to: businessTime(to) })),
    };
    return { state, findings: Object.entries(CHECKS).map(([name, check]) => ({ name, found: check(state) })) };
  } finally {
    await Promise.all(opened.databases.map((database) => database.close()));
  }
}

function openAll(urlOf: (service: string) => string | undefined): { sql: Databases; databases: Database[] } {
  const databases: Database[] = [];
  const open = (name: string) => {
    const url = urlOf(name);
    if (!url) throw new Error(`expected a database of ${name}, found none`);
    const database = openDatabase(url, "chaos");
    databases.push(database);
    return database.sql;
  };
  const sql = { order: open("order"), stock: open("stock"), payment: open("payment"), mail: open("mail") };
  return { sql: urlOf("broker") ? { ...sql, broker: open("broker") } : sql, databases };
}

/** Until nothing is on its way and no timer is armed: by then the last order has lived its 24 hours. */
async function quiet(
  client: Client,
  adminToken: string,
  databases: Databases,
  hastenUnknown: () => Promise<void>,
): Promise<void> {
  let left = 0;
  let stillSince = Date.now();
  for (const patience = AbortSignal.timeout(QUIET_MS_MAX); !patience.aborted; await Bun.sleep(500)) {
    await hastenUnknown();
    left = await waiting(client, adminToken, databases);
    if (left > 0) stillSince = Date.now();
    else if (databases.broker || Date.now() - stillSince > STILL_MS) return;
  }
  say(`  ${left} messages and timers were still there after ${QUIET_MS_MAX} ms`);
}

/** What nobody knows whether it has happened is due now. What is under way is left alone: its lease ends sooner than that. */
export async function hasten(databases: Omit<Databases, "broker">, businessTime: (ms: number) => Date): Promise<void> {
  const now = Date.now();
  const { order, stock, payment, mail } = databases;
  for (const sql of new Set([order, stock, payment, mail]))
    await sql`update jobs set due_at = ${businessTime(now)} where trouble = 'unknown' and due_at > ${businessTime(now + UNKNOWN_MS_MIN)}`;
}

/** What the run was like. */
export function tell({ state }: Books, { tries }: Client, kills: Record<string, number>, outages: Outage[]): void {
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
  const outageMs = Math.max(0, ...outages.map(({ from, to }) => to - from));
  say(`  faults      ${list(Object.entries(kills))}; longest outage ${outageMs} ms`);
  say(
    `  asked       ${tries.asked} times, ${tries.unanswered} unanswered, ${tries.unavailable} told to come back, ${tries.late} took too long`,
  );
  say(`  orders      ${list(Array.from(statuses, ([name, orders]): [string, number] => [name, orders.length]))}`);
  say(`  told        ${state.acknowledged.length} times; money given back for ${refunded} orders`);
  say(`  expired     at most ${Math.round(Math.max(0, ...lateMs))} ms late`);
  say(
    `  mails       ${state.caught.length}, handed over again under the same Message-ID: ${handOvers - state.caught.length}`,
  );
}

export function report({ findings }: Books): void {
  for (const { name, found } of findings) {
    say(`  ${String(found.length).padStart(6)}  ${name}`);
    for (const sentence of found.slice(0, 5)) say(`            ${sentence}`);
  }
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
