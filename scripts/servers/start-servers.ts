// Real servers for tests, and what the command line works with.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { advice, missing } from "./install.ts";
import { environmentOf, serversFor } from "./kinds.ts";
import { endAll, isRunning, type Say, startAll, startOne } from "./life.ts";
import { BASE_PORT } from "./ports.ts";
import { kill, send } from "./processes.ts";
import { type Kept, kept, nameOf, type Size } from "./server.ts";

export interface Servers {
  /** REDIS_URL, RABBITMQ_URL, KAFKA_BROKERS, DATABASE_URL, DATABASE_REPLICA_URLS, SMTP_URL: those of the kinds started. */
  env: Record<string, string>;
  names: string[];
  /** SIGKILL; resolves when the process is gone. */
  kill(name: string): Promise<void>;
  /** On its data; resolves when it answers. */
  start(name: string): Promise<void>;
  /** SIGSTOP: alive, its connections open, and silent. */
  pause(name: string): void;
  resume(name: string): void;
  /** Ends these servers, not what ran before. The data stays in `dataDir`; without one it is removed. */
  down(): Promise<void>;
}

/**
 * Kinds ("redis") or names ("kafka-2"), without `dataDir` in a temporary folder. Throws, naming the commands that help, when a program
 * is missing.
 */
export async function startServers(
  words: string[],
  options: { size?: Size; dataDir?: string; basePort?: number; say?: Say },
): Promise<Servers> {
  const { size = 1, basePort = BASE_PORT, say = () => {} } = options;
  const dataDir = resolve(options.dataDir ?? mkdtempSync(join(tmpdir(), "bodega-servers-")));
  const root = join(dataDir, "servers");
  const servers = serversFor(words, size, basePort, root);
  const needs = missing(servers.map(({ kind }) => kind));
  if (needs.length > 0) throw new Error(advice(needs));
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const ranBefore = new Set(servers.filter(isRunning).map(nameOf));
  await startAll(servers, say);
  const names = servers.map(nameOf);
  return {
    env: environmentOf(servers),
    names,
    kill: (name) => kill(theOne(root, name).process),
    start: (name) => startOne(theOne(root, name).server, () => {}, say),
    pause: (name) => signal(theOne(root, name), "SIGSTOP"),
    resume: (name) => signal(theOne(root, name), "SIGCONT"),
    async down() {
      const own = names.filter((name) => !ranBefore.has(name)).map((name) => theOne(root, name));
      await endAll(own, say);
      if (!options.dataDir) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export function theOne(root: string, name: string): Kept {
  const one = kept(root, name);
  if (!one) throw new Error(`expected a server that was started from here, found no ${name} in ${root}`);
  return one;
}

function signal({ server, process }: Kept, signal: NodeJS.Signals): void {
  if (!send(process, signal)) throw new Error(`${nameOf(server)} does not run`);
}
