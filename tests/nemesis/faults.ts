// What may go wrong in a cluster, each with its end: processes and servers killed or frozen, ways to servers that swallow everything.
import type { Servers } from "../../scripts/servers/start-servers.ts";
import { type Processes, serviceOf } from "../apart/processes.ts";
import type { Dice } from "../chaos/dice.ts";
import type { TcpProxy } from "../kit/tcp-proxy.ts";

export interface Fault {
  /** Such as "kill kafka-2". */
  name: string;
  /** Two faults of one group never overlap: a quorum survives the loss of one. */
  group: string;
  /** How long it lasts at most, when that is not as for the others. */
  msMax?: number;
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
  // A service that starts while its database is away ends: what services stand on comes after them, and is healed before.
  return [
    ...[...processes.services, ...processes.gateways].flatMap((name) => [
      ...faultsOfProcess(processes, name),
      ...faultsOfClock(processes, name),
    ]),
    ...Object.entries(processes.fronts).flatMap(([name, front]) => faultsOfFront(name, front)),
    ...servers.names.filter(isStruck).flatMap((name) => faultsOfServer(servers, name)),
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

/** Of two replicas only one is struck at a time. */
function faultsOfProcess(processes: Processes, name: string): Fault[] {
  const group = serviceOf(name);
  return [
    {
      name: `kill ${name}`,
      group,
      strike: () => processes.end(name, "SIGKILL").then(() => {}),
      heal() {
        processes.start(name);
        return processes.open(name);
      },
    },
    {
      name: `freeze ${name}`,
      group,
      // Longer than any lease: who wakes has lost what it held.
      msMax: FREEZE_MS_MAX,
      strike: () => processes.freeze(name),
      heal() {
        processes.thaw(name);
        return processes.open(name);
      },
    },
  ];
}

/** They step while it runs, there and back again. */
function faultsOfClock(processes: Processes, name: string): Fault[] {
  const heal = async () => processes.setClock(name, 0);
  return Object.entries(CLOCK_STEPS_MS).map(([how, ms]) => ({
    name: `put the clock of ${name} ${how}`,
    group: serviceOf(name),
    strike: () => processes.setClock(name, ms),
    heal,
  }));
}

/** Between a service and all who call it. */
function faultsOfFront(name: string, front: TcpProxy): Fault[] {
  const heal = async () => front.pass();
  return [
    { name: `lose the answers of ${name}`, group: name, strike: () => front.loseAnswers(), heal },
    { name: `slow down ${name}`, group: name, strike: () => front.delayAnswers(SLOW_MS), heal },
  ];
}

function faultsOfServer(servers: Servers, name: string): Fault[] {
  const group = kindOf(name);
  const killed = { name: `kill ${name}`, group, strike: () => servers.kill(name), heal: () => servers.start(name) };
  // The backends of a frozen PostgreSQL would go on: it is made silent by its way.
  if (group === "postgres") return [killed];
  const resume = async () => servers.resume(name);
  return [killed, { name: `freeze ${name}`, group, strike: () => servers.pause(name), heal: resume }];
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
const FREEZE_MS_MAX = 20_000;
const CLOCK_STEPS_MS = { "two hours ahead": 7_200_000, "an hour back": -3_600_000 };
/** Less than callers wait. */
const SLOW_MS = 1_500;
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
    const ms = dice.between(FAULT_MS_MIN, Math.max(...both.map(({ msMax = FAULT_MS_MAX }) => msMax)));
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
