// What may go wrong in a cluster, each with its end: processes and servers killed or frozen, ways to servers that swallow everything.
import type { Servers } from "../../scripts/servers/start-servers.ts";
import type { Processes } from "../apart/processes.ts";
import type { Dice } from "../chaos/dice.ts";
import type { TcpProxy } from "../tcp-proxy.ts";

export interface Fault {
  /** Such as "kill kafka-2". */
  name: string;
  /** Two faults of one group never overlap: a quorum survives the loss of one. */
  group: string;
  strike(): Promise<void> | void;
  /** Resolves when what was struck is back and serves. */
  heal(): Promise<void>;
}

export interface Cluster {
  processes: Processes;
  servers: Servers;
  /** Ways to servers, by the server's name. */
  ways: Record<string, TcpProxy>;
}

export function faultsOf({ processes, servers, ways }: Cluster): Fault[] {
  const restarted = (name: string) => {
    processes.start(name);
    return processes.open(name);
  };
  // A service that starts while its database is away ends: what services stand on comes after them, and is healed before.
  return [
    ...[...processes.services, "gateway"].flatMap((name): Fault[] => [
      {
        name: `kill ${name}`,
        group: name,
        strike: () => processes.end(name, "SIGKILL").then(() => {}),
        heal: () => restarted(name),
      },
    ]),
    ...servers.names.filter(isStruck).flatMap((name): Fault[] => [
      { name: `kill ${name}`, group: kindOf(name), strike: () => servers.kill(name), heal: () => servers.start(name) },
      ...(name.startsWith("postgres")
        ? [] // Its backends would go on: it is made silent by its way.
        : [
            {
              name: `freeze ${name}`,
              group: kindOf(name),
              strike: () => servers.pause(name),
              heal: async () => servers.resume(name),
            },
          ]),
    ]),
    ...Object.entries(ways).map(
      ([name, way]): Fault => ({
        name: `silence ${name}`,
        group: kindOf(name),
        strike: () => way.swallow(),
        heal: async () => way.pass(),
      }),
    ),
  ];
}

/** What stands before a server, or keeps the names of servers, is not what is under test. */
function isStruck(name: string): boolean {
  return /^(postgres|kafka|rabbitmq|redis)-/.test(name);
}

function kindOf(name: string): string {
  return name.replace(/-\d+$/, "");
}

const FAULT_MS_MIN = 500;
const FAULT_MS_MAX = 6_000;
const PEACE_MS_MIN = 1_000;
const PEACE_MS_MAX = 4_000;
const TWO_AT_ONCE = 0.25;

export interface Struck {
  outages: { from: number; to: number }[];
  /** How often each fault struck. */
  counts: Record<string, number>;
}

/**
 * Strikes one after the other, sometimes two at once, until `until` says that it is enough. No fault strikes again before all have struck, and every one is
 * healed in the end: the later in `faults` first, for those before may stand on it.
 */
export async function strike(
  faults: Fault[],
  dice: Dice,
  until: (done: number) => boolean,
  tell: (line: string) => void,
  pause: (ms: number) => Promise<void> = Bun.sleep,
): Promise<Struck> {
  const struck: Struck = { outages: [], counts: {} };
  let deck: Fault[] = [];
  for (let done = 0; !until(done); ) {
    await pause(dice.between(PEACE_MS_MIN, PEACE_MS_MAX));
    if (deck.length === 0) deck = [...faults];
    const one = dice.pick(deck);
    const others = deck.filter(({ group }) => group !== one.group);
    const both = dice.chance(TWO_AT_ONCE) && others.length > 0 ? [one, dice.pick(others)] : [one];
    deck = deck.filter((fault) => !both.includes(fault));
    const ms = dice.between(FAULT_MS_MIN, FAULT_MS_MAX);
    const from = Date.now();
    tell(both.map(({ name }) => name).join(" and "));
    for (const fault of both) await fault.strike();
    await pause(ms);
    for (const fault of both.toSorted((a, b) => faults.indexOf(b) - faults.indexOf(a))) await fault.heal();
    struck.outages.push({ from, to: Date.now() });
    for (const { name } of both) struck.counts[name] = (struck.counts[name] ?? 0) + 1;
    done += both.length;
  }
  return struck;
}
