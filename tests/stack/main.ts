// bun run test:stack: stack.yml as it is on a swarm of one node, orders through HAProxy with TLS all the time, and what may befall it; then the books.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Counts, summary } from "../../scripts/command.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { MAILHOG } from "../../scripts/servers/mailhog.ts";
import { type Books, report, say } from "../chaos/books.ts";
import { type Client, createClient } from "../chaos/client.ts";
import { createDice, SEED } from "../chaos/dice.ts";
import { type Load, startLoad } from "../chaos/load.ts";
import { openShop, renewTokens, stayLoggedIn } from "../chaos/shop.ts";
import { daemonMissing, startDaemon } from "./daemon.ts";
import { type Event, eventsOf } from "./events.ts";
import { buildStandIns } from "./images.ts";
import { restoreIn } from "./restore.ts";
import { openSwarm, type Swarm } from "./swarm.ts";
import { type Passed, rowOf, tableOf } from "./table.ts";
import { booksOf, countOf, SLOWER, type Trial } from "./trial.ts";

const USAGE = `bun run test:stack [small | full]
bun run test:stack restore  a backup under load, everything removed, and all of it as it was at a moment in between
STACK_EVENTS=upgrade,kill   only these
STACK_FOLDER=…              where images are kept for the next run
CHAOS_SEED=…                the orders of another run`;

const CUSTOMERS = 4;
/** How long a customer waits for an answer, and goes on asking: a restart of everything takes minutes. */
const ANSWER_MS_MAX = 30_000;
const PATIENCE_MS = 900_000;
/** Before an event and after it: what it leaves behind is its own. */
const CALM_MS = 10_000;
const BAD_GATEWAY = 502;

const OVERLAYS: Record<string, string[]> = { small: ["small"], full: [], restore: ["small", "backup"] };

type Closers = (() => unknown)[];

if (import.meta.main) {
  const [size = "small", ...more] = process.argv.slice(2);
  const wanted = process.env["STACK_EVENTS"]?.split(",").filter(Boolean) ?? [];
  const overlays = OVERLAYS[size];
  if (!overlays || more.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    process.exit(2);
  }
  const events = eventsOf(size === "full" ? "full" : "small").filter(
    ({ name }) => wanted.length === 0 || wanted.includes(name),
  );
  const missing = daemonMissing();
  if (missing || events.length === 0) {
    say(missing ?? `no event is called ${wanted.join(" or ")}`);
    process.exit(2);
  }
  const closers: Closers = [];
  // What was started is ended, whoever ends this.
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
  });
  let counts = { passed: 0, failed: 1, skipped: 0 };
  try {
    counts = await Promise.race([
      test(overlays, size === "restore" ? restoreIn : (trial) => befall(trial, events), closers),
      interrupted,
    ]);
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  counts.failed += await closeAll(closers);
  process.stdout.write(`${summary(counts)}\n`);
  process.exit(counts.failed > 0 ? 1 : 0);
}

/** What was made last goes first; what cannot be closed keeps nothing else open, and counts. */
async function closeAll(closers: Closers): Promise<number> {
  let failed = 0;
  for (let next = closers.pop(); next; next = closers.pop()) {
    try {
      await next();
    } catch (error) {
      failed += 1;
      say(`FAILED to close: ${error instanceof Error ? error.message : error}`);
    }
  }
  return failed;
}

async function test(overlays: string[], tried: (trial: Trial) => Promise<Counts>, closers: Closers): Promise<Counts> {
  const kept = process.env["STACK_FOLDER"];
  const folder = kept || mkdtempSync(join(tmpdir(), "bodega-stack-"));
  if (!kept) closers.push(() => rmSync(folder, { recursive: true, force: true }));
  say(`stack: ${overlays.join(" and ") || "full"}, CHAOS_SEED=${SEED}`);
  const daemon = await startDaemon(folder);
  closers.push(daemon.end);
  await buildStandIns(daemon, folder, say);
  const ports = await freePorts(["HTTPS", "HTTP", "POSTGRES", "SMTP", "MAILS"]);
  const port = (name: string) => ports[name] ?? "";
  // Mails leave the stack, as real ones do: what was handed over outlives it.
  const mailhog = Bun.spawn(
    [MAILHOG, "-smtp-bind-addr", `${daemon.gateway}:${port("SMTP")}`, ...mailPages(port("MAILS"))],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  closers.push(() => mailhog.kill());
  const smtpUrl = `smtp://${daemon.gateway}:${port("SMTP")}`;
  const since = new Date();
  const place = { daemon, folder, overlays, httpsPort: port("HTTPS"), httpPort: port("HTTP"), smtpUrl, since };
  const swarm = await openSwarm(place, say);
  for (const name of ["secrets", "backups"]) closers.push(() => rmSync(join(folder, name), { recursive: true }));
  closers.push(() => swarm.stack(["down", "--volumes"]));
  const began = performance.now();
  await swarm.stack(["up"]);
  say(`  ${await swarm.status()} after ${Math.round((performance.now() - began) / 1_000)} s`);
  const dice = createDice(SEED);
  const options = { answerMsMax: ANSWER_MS_MAX, patienceMs: PATIENCE_MS, ca: swarm.ca, badGateway: BAD_GATEWAY };
  const client = createClient(swarm.url, dice, options);
  const mails = `http://127.0.0.1:${port("MAILS")}`;
  const shop = await openShop(client, mails, CUSTOMERS);
  return await tried({ daemon, swarm, client, shop, mails, since, postgresPort: port("POSTGRES") });
}

/** What may befall it, and the books. */
async function befall(trial: Trial, events: Event[]): Promise<Counts> {
  const { swarm, client, shop } = trial;
  const load = startLoad(client, shop, createDice(SEED + 1), { slower: SLOWER });
  const over = new AbortController();
  const renewing = stayLoggedIn(client, shop, over.signal);
  const passed: Passed[] = [];
  for (const event of events) passed.push(await pass(event, swarm, client, load));
  over.abort();
  await Promise.all([load.stop(), renewing]);
  await renewTokens(client, shop);
  const outages = passed.filter(({ event }) => event.outage);
  return judge(passed, client, await booksOf(trial, load, outages));
}

function mailPages(port: string): string[] {
  return ["-api-bind-addr", `127.0.0.1:${port}`, "-ui-bind-addr", `127.0.0.1:${port}`];
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
  say(`    ${during.length} requests, ${during.filter(({ failed }) => failed).length} failed`);
  return { event, from, to: Date.now(), acknowledged: load.acknowledged.slice(first), ...(wrong && { wrong }) };
}

function judge(passed: Passed[], client: Client, books: Books): Counts {
  const rows = passed.map((one) => rowOf(one, client.attempts, books.state));
  report(books);
  say("");
  for (const line of tableOf(rows)) say(line);
  say("");
  return countOf([...rows.map(({ event, findings }) => ({ name: event, found: findings })), ...books.findings]);
}
