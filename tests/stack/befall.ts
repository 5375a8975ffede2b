// What may befall a stack while customers order, one thing after the other; then the books.
import type { Counts } from "../../scripts/command.ts";
import { type Books, type Finding, report, say } from "../chaos/books.ts";
import type { Client } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { type Load, startLoad } from "../chaos/load.ts";
import { renewTokens, stayLoggedIn } from "../chaos/shop.ts";
import { SEED } from "../kit/seed.ts";
import type { Event } from "./events.ts";
import type { Swarm } from "./swarm.ts";
import { kindsOf, type Passed, rowOf, tableOf } from "./table.ts";
import { booksOf, countOf, SLOWER, type Trial } from "./trial.ts";
import { linesOf, tooMuch, useOf } from "./usage.ts";

/** Before an event and after it: what it leaves behind is its own. */
const CALM_MS = 10_000;
/** So long it is looked at what all of it takes. */
const USE_MS = 20_000;

export async function befall(trial: Trial, events: Event[]): Promise<Counts> {
  const { daemon, swarm, client, shop } = trial;
  const idle = await useOf(daemon, USE_MS);
  const load = startLoad(client, shop, createDice(SEED + 1), { slower: SLOWER });
  const over = new AbortController();
  const renewing = stayLoggedIn(client, shop, over.signal);
  await Bun.sleep(CALM_MS);
  const busy = await useOf(daemon, USE_MS);
  for (const line of linesOf(idle, busy)) say(`  ${line}`);
  const passed: Passed[] = [];
  for (const event of events) passed.push(await pass(event, swarm, client, load));
  over.abort();
  await Promise.all([load.stop(), renewing]);
  await renewTokens(client, shop);
  const outages = passed.filter(({ event }) => event.outage);
  return judge(passed, client, await booksOf(trial, load, outages), tooMuch(busy, trial.memoryMiBMax));
}

async function pass(event: Event, swarm: Swarm, client: Client, load: Load): Promise<Passed> {
  await event.prepare?.(swarm);
  await Bun.sleep(CALM_MS);
  say(`  ${event.what}`);
  const from = Date.now();
  const first = load.acknowledged.length;
  let wrong: string | undefined;
  try {
    await event.strike(swarm);
  } catch (error) {
    wrong = error instanceof Error ? error.message : String(error);
    say(`  ${wrong}`);
  }
  await Bun.sleep(CALM_MS);
  const during = client.attempts.filter(({ endedAt }) => endedAt >= from);
  const failures = during.filter(({ failed }) => failed);
  const [failure] = failures;
  const told = failure ? `: ${kindsOf(failures)}; the first was answered ${failure.turnedAway}` : "";
  say(`    ${during.length} requests, ${failures.length} failed${told}`);
  return { event, from, to: Date.now(), acknowledged: load.acknowledged.slice(first), ...(wrong && { wrong }) };
}

function judge(passed: Passed[], client: Client, books: Books, more: Finding[]): Counts {
  const rows = passed.map((one) => rowOf(one, client.attempts, books.state));
  report(books);
  say("");
  for (const line of tableOf(rows)) say(line);
  say("");
  return countOf([
    ...rows.map(({ event, findings }) => ({ name: event, found: findings })),
    ...books.findings,
    ...more,
  ]);
}
