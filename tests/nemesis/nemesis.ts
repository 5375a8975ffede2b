// Real servers, every service in a process of its own, customers who order all the time, and faults at random: then the books.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "../../scripts/command.ts";
import type { KindName } from "../../scripts/servers/ports.ts";
import { startServers } from "../../scripts/servers/start-servers.ts";
import { createProcesses } from "../apart/processes.ts";
import { type Books, closeBooks, report, say, tell } from "../chaos/books.ts";
import { createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { startLoad, TIME_SCALE } from "../chaos/load.ts";
import { openShop, renewTokens, stayLoggedIn } from "../chaos/shop.ts";
import { databaseOf } from "../kit/databases.ts";
import { fetchMissing } from "../kit/servers/absent.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";
import { faultsOf, strike } from "./faults.ts";

export interface Options {
  /** The faults and the orders follow from it. */
  seed: number;
  /** Nodes of each server. */
  size: 1 | 3;
  /** Of every service and of the edge. */
  replicas: number;
  /** Real servers besides PostgreSQL; without them facts, jobs and locks are the embedded ones, and nothing must be installed. */
  servers: boolean;
  /** A commit whose code the second replicas run. */
  old?: string | undefined;
  /** Ends the faults; told how many there were, and how many kinds there are. */
  until: (done: number, kinds: number) => boolean;
  basePort: number;
}

const CUSTOMERS = 4;
export const KINDS: KindName[] = ["postgres", "redis", "rabbitmq", "kafka"];

/** Prints what it does and what it found. */
export async function runNemesis(options: Options): Promise<Books> {
  const { seed, size, replicas, servers: real, old, until, basePort } = options;
  const more = [real ? "" : " --embedded", old ? ` --old ${old}` : ""].join("");
  say(`nemesis: --seed ${seed} --size ${size} --replicas ${replicas}${more}`);
  const closers: (() => unknown)[] = [];
  try {
    const kinds: KindName[] = real ? KINDS : ["postgres"];
    await fetchMissing(kinds);
    const servers = await startServers(kinds, { size, basePort, say: (line) => say(`  ${line}`) });
    closers.push(servers.down);
    const primary = servers.env["DATABASE_URL"] ?? "";
    const target = new URL(primary);
    const toPrimary = await wayTo({ hostname: target.hostname, port: Number(target.port) }, closers);
    target.port = String(toPrimary.port);
    const since = new Date();
    const env = { ...servers.env, DATABASE_URL: target.href, TIME_SCALE_SINCE: since.toISOString() };
    const second = old ? await checkOut(old, closers) : undefined;
    const processes = await createProcesses(env, { replicas, ...(second && { second }) });
    closers.push(processes.close);
    // Mails go out by SMTP, to the catcher.
    const toMail = await wayTo({ hostname: "127.0.0.1", port: processes.smtpPort }, closers);
    processes.env["SMTP_URL"] = `smtp://127.0.0.1:${toMail.port}`;
    await processes.startAll();
    const client = createClient(processes.url, createDice(seed + 1));
    const shop = await openShop(client, processes.mailUrl, CUSTOMERS);
    const load = startLoad(client, shop, createDice(seed + 2));
    const over = new AbortController();
    closers.push(() => over.abort());
    const renewing = stayLoggedIn(client, shop, over.signal);
    const faults = faultsOf({ processes, servers, ways: { "postgres-1": toPrimary, smtp: toMail } });
    const { outages, counts } = await strike(
      faults,
      createDice(seed + 3),
      (done) => until(done, faults.length),
      (line) => say(`  ${line}`),
    );
    over.abort();
    await Promise.all([load.stop(), renewing]);
    await renewTokens(client, shop);
    const time = { real: since.getTime(), business: since.getTime(), scale: TIME_SCALE };
    const books = await closeBooks({ client, shop, load, outages, time }, (service) =>
      service === "broker" && servers.env["RABBITMQ_URL"] ? undefined : databaseOf(service, primary),
    );
    tell(books, client, counts, outages);
    report(books);
    return books;
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function wayTo(target: Parameters<typeof startTcpProxy>[0], closers: (() => unknown)[]): Promise<TcpProxy> {
  const proxy = await startTcpProxy(target);
  closers.push(proxy.end);
  return proxy;
}

/** The code of another commit, on its own packages. */
async function checkOut(commit: string, closers: (() => unknown)[]): Promise<string> {
  const folder = join(mkdtempSync(join(tmpdir(), "bodega-old-")), "tree");
  await must(["git", "worktree", "add", "--detach", folder, commit]);
  closers.push(() => must(["git", "worktree", "remove", "--force", folder]));
  await must([process.execPath, "install", "--frozen-lockfile"], { cwd: folder });
  return folder;
}
