// bun run test:stack: stack.yml as it is on a swarm of one node, orders through HAProxy with TLS all the time, and what may befall it; then the books.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Counts, summary } from "../../scripts/command.ts";
import { freePorts } from "../../scripts/copy/ports.ts";
import { notInstalled } from "../../scripts/servers/install.ts";
import { MAILHOG } from "../../scripts/servers/mailhog.ts";
import { say } from "../chaos/books.ts";
import { createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { openShop } from "../chaos/shop.ts";
import { SEED } from "../kit/seed.ts";
import { openPager } from "../observability/pages.ts";
import { befall } from "./befall.ts";
import { daemonMissing, NoEngine, startDaemon } from "./daemon.ts";
import { debeziumIn } from "./debezium.ts";
import { type Event, eventsOf } from "./events.ts";
import { buildStandIns } from "./images.ts";
import { startNodes } from "./nodes.ts";
import { observeIn } from "./observe.ts";
import { restoreIn } from "./restore.ts";
import { openSwarm, type Swarm } from "./swarm.ts";
import type { Trial } from "./trial.ts";

const USAGE = `bun run test:stack [small | full]
bun run test:stack clusters  small, and clusters of PostgreSQL of their own for auth, product and order: the one of orders hands over, and is killed
bun run test:stack restore   a backup under load, everything removed, and all of it as it was at a moment in between
bun run test:stack observe   the life of an order in what stack.observe.yml sees it with, and a page for a service that is gone
bun run test:stack nodes     a swarm of three nodes: one is drained, and one is lost
bun run test:stack debezium  small, with Debezium in place of the relays: away for a while, and killed
STACK_EVENTS=upgrade,kill   only these
STACK_FOLDER=…              where images are kept for the next run, and what containers said in one that failed
CHAOS_SEED=…                the orders of another run`;

const CUSTOMERS = 4;
/** How long a customer waits for an answer, and goes on asking: a restart of everything takes minutes. */
const ANSWER_MS_MAX = 30_000;
const PATIENCE_MS = 900_000;
const BAD_GATEWAY = 502;

/** Of the 4 GB that stack.small.yml is for, the machine's own system wants some. */
const SMALL_MIB_MAX = 3_584;

interface Mode {
  overlays: string[];
  start?: typeof startDaemon;
  memoryMiBMax?: number;
  tried(trial: Trial): Promise<Counts>;
}

/** `events` are of small, full, clusters, nodes and debezium. */
function modesOf(events: Event[]): Record<string, Mode> {
  const tried = (trial: Trial) => befall(trial, events);
  return {
    small: { overlays: ["small"], memoryMiBMax: SMALL_MIB_MAX, tried },
    full: { overlays: [], tried },
    clusters: { overlays: ["small", "clusters"], tried },
    nodes: { overlays: [], start: startNodes, tried },
    restore: { overlays: ["small", "backup"], tried: restoreIn },
    observe: { overlays: ["small", "observe"], tried: observeIn },
    debezium: { overlays: ["small", "debezium"], tried: (trial) => debeziumIn(trial, events) },
  };
}

type Closers = (() => unknown)[];

if (import.meta.main) {
  const [size = "small", ...more] = process.argv.slice(2);
  const wanted = process.env["STACK_EVENTS"]?.split(",").filter(Boolean) ?? [];
  const events = eventsOf(size).filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const mode = modesOf(events)[size];
  if (!mode || more.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    process.exit(2);
  }
  if (events.length === 0) {
    say(`no event is called ${wanted.join(" or ")}`);
    process.exit(2);
  }
  const missing = daemonMissing() ?? notInstalled(["kafka", "mailhog"]);
  if (missing) {
    process.stdout.write(`${summary(skipped(missing))}\n`);
    process.exit();
  }
  const closers: Closers = [];
  // What was started is ended, whoever ends this.
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
  });
  let counts = { passed: 0, failed: 1, skipped: 0 };
  try {
    counts = await Promise.race([test(mode, closers), interrupted]);
  } catch (error) {
    if (error instanceof NoEngine) counts = skipped(error.message);
    else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  counts.failed += await closeAll(closers);
  process.stdout.write(`${summary(counts)}\n`);
  process.exit(counts.failed > 0 ? 1 : 0);
}

function skipped(why: string): Counts {
  say(`skipped: ${why}`);
  return { passed: 0, failed: 0, skipped: 1 };
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

async function test({ overlays, start = startDaemon, memoryMiBMax, tried }: Mode, closers: Closers): Promise<Counts> {
  const kept = process.env["STACK_FOLDER"];
  const folder = kept || mkdtempSync(join(tmpdir(), "bodega-stack-"));
  if (!kept) closers.push(() => rmSync(folder, { recursive: true, force: true }));
  say(`stack: ${overlays.join(" and ") || "full"}, CHAOS_SEED=${SEED}`);
  const daemon = await start(folder);
  closers.push(daemon.end);
  await buildStandIns(daemon, { folder, overlays }, say);
  const ports = await freePorts(["HTTPS", "HTTP", "SMTP", "MAILS"]);
  const port = (name: string) => ports[name] ?? "";
  // Mails leave the stack, as real ones do: what was handed over outlives it.
  const mailhog = Bun.spawn(
    [MAILHOG, "-smtp-bind-addr", `${daemon.gateway}:${port("SMTP")}`, ...mailPages(port("MAILS"))],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  closers.push(() => mailhog.kill());
  const smtpUrl = `smtp://${daemon.gateway}:${port("SMTP")}`;
  const pager = openPager(daemon.gateway);
  closers.push(pager.close);
  const since = new Date();
  const place = { daemon, folder, overlays, smtpUrl, pagerUrl: pager.url, since };
  const swarm = await openSwarm({ ...place, httpsPort: port("HTTPS"), httpPort: port("HTTP") }, say);
  for (const name of ["secrets", "backups"]) closers.push(() => rmSync(join(folder, name), { recursive: true }));
  closers.push(() => swarm.stack(["down", "--volumes"]));
  const began = performance.now();
  await swarm.stack(["up"]);
  say(`  ${await swarm.status()} after ${Math.round((performance.now() - began) / 1_000)} s`);
  const dice = createDice(SEED);
  const options = {
    answerMsMax: ANSWER_MS_MAX,
    patienceMs: PATIENCE_MS,
    ca: swarm.ca,
    fresh: true,
    badGateway: BAD_GATEWAY,
  };
  const client = createClient(swarm.url, dice, options);
  const mails = `http://127.0.0.1:${port("MAILS")}`;
  let failed = true;
  try {
    const shop = await openShop(client, mails, CUSTOMERS);
    const bar = memoryMiBMax ? { memoryMiBMax } : {};
    const counts = await tried({ daemon, swarm, client, shop, mails, pager, since, ...bar });
    failed = counts.failed > 0;
    return counts;
  } finally {
    // With the stack goes what it said.
    if (failed && kept) await keepLogs(swarm, join(folder, "logs"));
  }
}

async function keepLogs(swarm: Swarm, folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const { name, said } of await swarm.logs()) writeFileSync(join(folder, `${name}.log`), said);
  say(`  what the containers said is in ${folder}`);
}

function mailPages(port: string): string[] {
  return ["-api-bind-addr", `127.0.0.1:${port}`, "-ui-bind-addr", `127.0.0.1:${port}`];
}
