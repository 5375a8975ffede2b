// Real servers, every service in a process of its own, customers who order all the time, and faults at random: then the books.
import type { KindName } from "../../scripts/servers/ports.ts";
import { startServers } from "../../scripts/servers/start-servers.ts";
import { fetchMissing } from "../absent.ts";
import { createProcesses } from "../apart/processes.ts";
import { type Books, closeBooks, report, say, tell } from "../chaos/books.ts";
import { createClient } from "../chaos/client.ts";
import { createDice } from "../chaos/dice.ts";
import { startLoad, TIME_SCALE } from "../chaos/load.ts";
import { openShop } from "../chaos/shop.ts";
import { databaseOf } from "../databases.ts";
import { startTcpProxy, type TcpProxy } from "../tcp-proxy.ts";
import { faultsOf, strike } from "./faults.ts";

export interface Options {
  /** The faults and the orders follow from it. */
  seed: number;
  /** Nodes of each server. */
  size: 1 | 3;
  /** Ends the faults; told how many there were, and how many kinds there are. */
  until: (done: number, kinds: number) => boolean;
  basePort: number;
}

const CUSTOMERS = 4;
export const KINDS: KindName[] = ["postgres", "redis", "rabbitmq", "kafka"];

/** Prints what it does and what it found. */
export async function runNemesis({ seed, size, until, basePort }: Options): Promise<Books> {
  say(`nemesis: --seed ${seed} --size ${size}`);
  const closers: (() => unknown)[] = [];
  try {
    await fetchMissing(KINDS);
    const servers = await startServers(KINDS, { size, basePort, say: (line) => say(`  ${line}`) });
    closers.push(servers.down);
    const primary = servers.env["DATABASE_URL"] ?? "";
    const target = new URL(primary);
    const toPrimary = await wayTo({ hostname: target.hostname, port: Number(target.port) }, closers);
    target.port = String(toPrimary.port);
    const since = new Date();
    const processes = await createProcesses({
      ...servers.env,
      DATABASE_URL: target.href,
      TIME_SCALE_SINCE: since.toISOString(),
    });
    closers.push(processes.close);
    // Mails go out by SMTP, to the catcher.
    const toMail = await wayTo({ hostname: "127.0.0.1", port: processes.smtpPort }, closers);
    processes.env["SMTP_URL"] = `smtp://127.0.0.1:${toMail.port}`;
    await processes.startAll();
    const client = createClient(processes.url, createDice(seed + 1));
    const shop = await openShop(client, processes.mailUrl, CUSTOMERS);
    const load = startLoad(client, shop, createDice(seed + 2));
    const faults = faultsOf({ processes, servers, ways: { "postgres-1": toPrimary, smtp: toMail } });
    const { outages, counts } = await strike(
      faults,
      createDice(seed + 3),
      (done) => until(done, faults.length),
      (line) => say(`  ${line}`),
    );
    await load.stop();
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
