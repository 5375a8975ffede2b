// Starting and ending servers. What runs stays, and nothing is ended but what was started from here.
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { isFree } from "./ask.ts";
import { kindOf } from "./kinds.ts";
import type { KindName } from "./ports.ts";
import { end, isAlive, launch } from "./processes.ts";
import type { Identity } from "./server.ts";
import { allKept, folderOf, type Kept, keep, kept, logOf, nameOf, type Server, writeFiles } from "./server.ts";
import { until } from "./until.ts";

export type Say = (line: string) => void;

const TRIES_MAX = 20;
const LINES_SHOWN = 12;

/** Ready when it returns. When one fails, those started by this call are ended again. */
export async function startAll(servers: Server[], say: Say): Promise<void> {
  for (const server of servers) refuseOtherShape(server);
  const started: Kept[] = [];
  const kinds = new Map<KindName, Promise<void>>();
  const startKind = (kind: KindName): Promise<void> => {
    const starting = kinds.get(kind) ?? startServers(kind);
    kinds.set(kind, starting);
    return starting;
  };
  const startServers = async (kind: KindName) => {
    const own = servers.filter((server) => server.kind === kind);
    const below = (kindOf(kind).after ?? []).filter((name) => servers.some((server) => server.kind === name));
    await Promise.all(below.map(startKind));
    await startTogether(own, (one) => started.push(one), say);
  };
  const outcomes = await Promise.allSettled([...new Set(servers.map((server) => server.kind))].map(startKind));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (!failed) return;
  await endAll(started, say);
  throw failed.reason;
}

async function startTogether(servers: Server[], onStart: (one: Kept) => void, say: Say): Promise<void> {
  const [first] = servers;
  if (!first) return;
  const { form, prepare } = kindOf(first.kind);
  const stopped = servers.filter((server) => !isRunning(server));
  for (const server of stopped) writeFiles(server, kindOf(server.kind).files?.(server) ?? {});
  const [leader, ...others] = stopped;
  if (leader) await prepare?.(leader);
  await Promise.all(others.map((server) => prepare?.(server)));
  // All must have been launched before any is awaited: nodes of a cluster wait for each other.
  await Promise.all(stopped.map((server) => startOne(server, onStart, say)));
  if (servers.length < first.count || !form) return;
  const began = performance.now();
  await form(servers);
  if (first.count > 1 && stopped.length > 0) say(`${first.kind} is one cluster (${secondsSince(began)})`);
}

/** On its data, with its configuration written anew; returns when it answers. */
export async function startOne(server: Server, onStart: (one: Kept) => void, say: Say): Promise<void> {
  if (isRunning(server)) return;
  const kind = kindOf(server.kind);
  const name = nameOf(server);
  writeFiles(server, kind.files?.(server) ?? {});
  for (const [purpose, port] of Object.entries(kind.ports(server))) {
    if (!(await isFree(port))) throw new Error(`${name} wants port ${port} (${purpose}), which another program holds`);
  }
  const began = performance.now();
  for (let tries = 1; ; tries++) {
    const logBefore = existsSync(logOf(server)) ? statSync(logOf(server)).size : 0;
    const process = launch(kind.command(server), folderOf(server), logOf(server));
    keep(server, process);
    onStart({ server, process });
    const said = () => readFileSync(logOf(server)).subarray(logBefore).toString();
    if (await becomesReady(server, process)) break;
    if (tries >= TRIES_MAX || !kind.startAgainOn?.test(said())) throw new Error(`${name} ended:\n${lastLines(said())}`);
  }
  say(`${name} ready (${secondsSince(began)})`);
}

async function becomesReady(server: Server, process: Identity): Promise<boolean> {
  let ready = false;
  await until(`${nameOf(server)} is ready (see ${logOf(server)})`, async () => {
    ready = await kindOf(server.kind).ready(server);
    return ready || !isAlive(process);
  });
  return ready && isAlive(process);
}

/** Those that stand on others go first. */
export async function endAll(servers: Kept[], say: Say): Promise<void> {
  let left = servers;
  while (left.length > 0) {
    const below = new Set(left.flatMap(({ server }) => kindOf(server.kind).after ?? []));
    const now = left.filter(({ server }) => !below.has(server.kind));
    await Promise.all(now.map((one) => endOne(one, say)));
    left = left.filter((one) => !now.includes(one));
  }
}

async function endOne({ server, process }: Kept, say: Say): Promise<void> {
  if (!isAlive(process)) return;
  const began = performance.now();
  const forced = await end(process, kindOf(server.kind).stopSignal);
  say(`${nameOf(server)} ended${forced ? " by force" : ""} (${secondsSince(began)})`);
}

/** Removes the data of servers that do not run. */
export function clean(root: string): void {
  for (const { server, process } of allKept(root)) {
    if (!isAlive(process)) rmSync(folderOf(server), { recursive: true, force: true });
  }
}

export function isRunning(server: Server): boolean {
  const last = kept(server.root, nameOf(server));
  return last !== undefined && isAlive(last.process);
}

/** Data of a cluster of three cannot become a single server, nor move to other ports. */
function refuseOtherShape(server: Server): void {
  const last = kept(server.root, nameOf(server))?.server;
  if (!last || (last.count === server.count && last.basePort === server.basePort)) return;
  throw new Error(
    `${nameOf(server)} has data as one of ${last.count} on ports from ${last.basePort}, asked for was one of ${server.count} on ports from ${server.basePort}: ask for that, or begin anew with "bun run servers down --clean"`,
  );
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-LINES_SHOWN).join("\n");
}

function secondsSince(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}
