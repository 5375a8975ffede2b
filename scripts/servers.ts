// bun run servers: real servers on a developer's machine, without containers. Everything on 127.0.0.1, data and logs in
// .data/servers/<name>/.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { install, missing } from "./servers/install.ts";
import { environmentOf, kindOf, serversFor } from "./servers/kinds.ts";
import { clean, endAll, startOne } from "./servers/life.ts";
import { BASE_PORT } from "./servers/ports.ts";
import { isAlive, isPaused, kill, memoryOf } from "./servers/processes.ts";
import { allKept, clusterOf, type Kept, logOf, nameOf, type Size } from "./servers/server.ts";
import { startServers, theOne } from "./servers/start-servers.ts";
import { ROOT } from "./tree.ts";

const USAGE = `bun run servers up [kinds or names …] [--size 1|3] [--base-port ${BASE_PORT}] [--install]
bun run servers down [kinds or names …] [--clean]     end them; --clean also removes all data
bun run servers install [kinds …]                     only what is missing on this machine
bun run servers status | env                          env: for eval "$(bun run servers env)"
bun run servers kill <name> | start <name>            SIGKILL; start again on its data
bun run servers logs <name> [--follow]
Kinds: postgres, redis, rabbitmq, haproxy (before rabbitmq), kafka, mailhog;
connect (Debezium, before kafka) only when named. Names are like kafka-2.`;

const dataDir = resolve(ROOT, process.env["DATA_DIR"] || ".data");
const root = join(dataDir, "servers");
const say = (line: string) => console.error(line);

type Options = { size: Size; basePort: number; install: boolean; clean: boolean; follow: boolean };

const COMMANDS: Record<string, (words: string[], options: Options) => Promise<void> | void> = {
  async up(words, { size, basePort, install: mayInstall }) {
    const kinds = serversFor(words, size, basePort, root).map(({ kind }) => kind);
    const needs = missing(kinds);
    if (needs.length > 0 && mayInstall) await install(needs, say);
    const began = performance.now();
    await startServers(words, { size, basePort, dataDir, say });
    say(`all ready (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  },
  async install(words, { size, basePort }) {
    await install(missing(serversFor(words, size, basePort, root).map(({ kind }) => kind)), say);
  },
  async down(words, { clean: thenClean }) {
    const meant = ({ server }: Kept) =>
      words.length === 0 || words.includes(server.kind) || words.includes(nameOf(server));
    await endAll(allKept(root).filter(meant), say);
    if (thenClean) clean(root);
  },
  status() {
    for (const { server, process } of allKept(root)) {
      const state = isPaused(process) ? "paused" : isAlive(process) ? "runs" : "stopped";
      const [pid, memory] = state === "stopped" ? ["", ""] : [String(process.pid), `${memoryOf(process)} MB`];
      const ports = Object.entries(kindOf(server.kind).ports(server)).map(([purpose, port]) => `${purpose} ${port}`);
      const columns = [nameOf(server).padEnd(11), state.padEnd(8), pid.padStart(8), memory.padStart(8)];
      console.log([...columns, "", ports.join(", ")].join(" "));
    }
  },
  env() {
    const clusters = allKept(root)
      .filter(({ process }) => isAlive(process))
      .map(({ server }) => clusterOf(server));
    const servers = new Map(clusters.flat().map((server) => [nameOf(server), server]));
    for (const [name, value] of Object.entries(environmentOf([...servers.values()]))) {
      console.log(`export ${name}='${value}'`);
    }
  },
  async kill([name = ""]) {
    await kill(theOne(root, name).process);
  },
  async start([name = ""]) {
    await startOne(theOne(root, name).server, () => {}, say);
  },
  async logs([name = ""], { follow }) {
    const log = logOf(theOne(root, name).server);
    if (!existsSync(log)) throw new Error(`${name} has said nothing yet`);
    await Bun.spawn(["tail", "-n", "200", ...(follow ? ["-f"] : []), log], { stdio: ["ignore", "inherit", "inherit"] })
      .exited;
  },
};

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      size: { type: "string", default: "3" },
      "base-port": { type: "string", default: String(BASE_PORT) },
      install: { type: "boolean", default: false },
      clean: { type: "boolean", default: false },
      follow: { type: "boolean", short: "f", default: false },
    },
  });
  const [word = "", ...words] = positionals;
  const command = COMMANDS[word];
  if (!command) throw new Error(USAGE);
  const size = Number(values.size);
  if (size !== 1 && size !== 3) throw new Error(`--size is 1 or 3, found ${values.size}`);
  const basePort = Number(values["base-port"]);
  if (!(basePort >= 1024 && basePort <= 65_000)) throw new Error(`--base-port is 1024 to 65000, found ${basePort}`);
  await command(words, { ...values, size, basePort });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
