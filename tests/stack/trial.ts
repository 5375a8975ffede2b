// A stack that runs with a shop in it, for whatever is to be tried with it.
import type { Counts } from "../../scripts/command.ts";
import { SERVICE_NAMES } from "../../services/all.ts";
import { type Books, closeBooks, type Finding, type Outage, say } from "../chaos/books.ts";
import type { Client } from "../chaos/client.ts";
import { type Load, TIME_SCALE } from "../chaos/load.ts";
import type { Shop } from "../chaos/shop.ts";
import { databaseOf } from "../kit/databases.ts";
import type { Pager } from "../observability/pages.ts";
import type { Daemon } from "./daemon.ts";
import { caughtBy } from "./mails.ts";
import type { Swarm } from "./swarm.ts";
import { openWay } from "./way.ts";

export interface Trial {
  daemon: Daemon;
  swarm: Swarm;
  client: Client;
  shop: Shop;
  /** Where the mails went that left the stack. */
  mails: string;
  /** Where pages went. */
  pager: Pager;
  since: Date;
  /** What all of it may take of the machine's memory. */
  memoryMiBMax?: number;
}

/** Of two cores the stack itself wants most. */
export const SLOWER = 4;

export async function booksOf(trial: Trial, load: Load, outages: Outage[]): Promise<Books> {
  const { daemon, swarm, client, shop, mails, since } = trial;
  const way = await openWay(daemon, ["data"], [...new Set(SERVICE_NAMES.map(swarm.serverOf))]);
  try {
    const urlOf = (service: string) => databaseOf(service, swarm.databaseUrl(way.at(swarm.serverOf(service))));
    const time = { real: since.getTime(), business: since.getTime(), scale: TIME_SCALE };
    const run = { client, shop, load, outages, time, caught: () => caughtBy(mails) };
    return await closeBooks(run, (service) => (service === "broker" ? undefined : urlOf(service)));
  } finally {
    await way.close();
  }
}

/** Says each, and counts. */
export function countOf(findings: Finding[]): Counts {
  for (const { name, found } of findings) {
    say(`${found.length === 0 ? "ok    " : "FAILED"} ${name}`);
    for (const sentence of found.slice(0, 5)) say(`       ${sentence}`);
  }
  const failed = findings.filter(({ found }) => found.length > 0).length;
  return { passed: findings.length - failed, failed, skipped: 0 };
}
