// bun run stack: the platform on Docker Swarm, from images to a table of what is ready.
import { parseArgs } from "node:util";
import { must, run } from "./command.ts";
import { momentOf, mustHaveSecrets, RESTORED, restoreVolume, takeBase, volumesOf } from "./stack/backup.ts";
import { converge, type Row, rowsOf } from "./stack/converge.ts";
import { complaints } from "./stack/doctor.ts";
import { type Engine, labelOf, type Node, of, openEngine, type Service, type Task } from "./stack/engine.ts";
import { buildImages, secretsFolder, stackEnvironment } from "./stack/environment.ts";
import {
  leaderLast,
  leaderOf,
  letsClientsIn,
  membersIn,
  membersOn,
  migratingIn,
  othersIn,
  stepDown,
} from "./stack/members.ts";
import { patiently, READY_MS_MAX } from "./stack/patience.ts";
import { type Environment, readStackFile, type StackFile } from "./stack/stack-file.ts";

const USAGE = `bun run stack up [overlays …]          images, secrets, deploy, and wait until all is ready
bun run stack upgrade [overlays …]     the same for a stack that runs, one service at a time: members of clusters, tables, mail, the rest
bun run stack down [--volumes]         remove it; --volumes also removes what it has kept
bun run stack drain <node>             lets a node keep nothing that may be elsewhere: whoever leads on it hands over first
bun run stack status                   what is ready, once
bun run stack logs <service>           what it said last
bun run stack backup                   takes a base copy, where the overlay backup keeps the log
bun run stack restore [--at TIME] [overlays …]
                                       a new stack as the last one was at that time, or at the end of the log
bun run stack doctor                   what is missing before it can be deployed
bun run stack env [overlays …]         for: eval "$(bun run stack env)"; docker stack deploy -c stack.yml bodega
Overlays are files stack.<name>.yml: small, clusters, stripe, observe, backup, debezium, encrypted. STACK names another stack than bodega.`;

const STACK = process.env["STACK"] || "bodega";
const GONE_MS_MAX = 120_000;
const say = (line: string) => console.error(line);

/** Of the caller; what is empty is unset. */
function environment(): Environment {
  const set = Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value] as const] : []));
  return Object.fromEntries(set);
}

interface Options {
  volumes: boolean;
  at?: string | undefined;
}

const COMMANDS: Record<string, (engine: Engine, words: string[], options: Options) => Promise<void>> = {
  up: (engine, overlays) => deploy(engine, overlays),
  async upgrade(engine, overlays) {
    if ((await servicesOf(engine)).size === 0) throw new Error(`there is no stack ${STACK}: bun run stack up`);
    await deploy(engine, overlays);
  },
  async down(engine, _, { volumes }) {
    await must(["docker", "stack", "rm", STACK]);
    for (const patience = AbortSignal.timeout(GONE_MS_MAX); ; await Bun.sleep(500)) {
      const left = await engine.get<unknown[]>("/containers/json", { ...of(STACK), all: "true" });
      // Of all nodes.
      const tasks = await engine.get<unknown[]>("/tasks", of(STACK));
      const networks = await engine.get<unknown[]>("/networks", of(STACK));
      if (left.length + tasks.length + networks.length === 0) break;
      if (patience.aborted)
        throw new Error(`${Math.max(left.length, tasks.length)} tasks were still there after ${GONE_MS_MAX / 1_000} s`);
    }
    if (!volumes) return;
    for (const volume of await volumesOf(STACK, environment())) await must(["docker", "volume", "rm", volume]);
    const nodes = await engine.get<Node[]>("/nodes");
    if (nodes.length > 1)
      say(`on the other nodes: docker volume rm $(docker volume ls -q --filter label=${labelOf(STACK)})`);
  },
  async drain(engine, [name = ""]) {
    const nodes = await engine.get<Node[]>("/nodes");
    const node = nodes.find(({ Description }) => Description.Hostname === name);
    if (!node)
      throw new Error(
        `expected one of the nodes ${nodes.map(({ Description }) => Description.Hostname).join(", ")}, found "${name}"`,
      );
    const services = [...(await servicesOf(engine)).keys()];
    for (const member of membersOn(node, services))
      if (await stepDown(member, STACK, environment())) say(`${member} has handed over`);
    const since = await clockOf(engine);
    await must(["docker", "node", "update", "--availability", "drain", node.ID]);
    // Members have their place there, and wait for it.
    const elsewhere = services.filter((service) => membersIn([service]).length === 0);
    await converge(engine, { stack: STACK, since, msMax: READY_MS_MAX, services: elsewhere, tell });
    say(`\n${name} is drained; it is back with: docker node update --availability active ${name}`);
  },
  backup: async () => say(`base copy ${await takeBase(STACK, environment())}`),
  async restore(engine, overlays, { at }) {
    const moment = at && momentOf(at);
    mustHaveSecrets(secretsFolder(environment()));
    const deployment = await prepare(engine, overlays);
    say((await restoreVolume(STACK, deployment.env, moment)).trim());
    await startRestored(deployment);
    await deployAll(deployment);
  },
  async status(engine) {
    const rows = await lookOnce(engine);
    for (const row of rows) console.log(line(row));
    if (rows.length === 0 || rows.some(({ state }) => state !== "ready")) process.exitCode = 1;
  },
  async logs(_, [service = ""]) {
    const { output, code } = await run(["docker", "service", "logs", "--tail", "200", `${STACK}_${service}`]);
    console.log(output);
    process.exitCode = code;
  },
  async doctor(engine) {
    const found = await complaints(engine, environment());
    for (const complaint of found) console.log(complaint);
    if (found.length === 0) console.log("nothing is missing");
    process.exitCode = found.length === 0 ? 0 : 1;
  },
  async env(engine, overlays) {
    const told = await stackEnvironment(overlays, await engine.get<Node[]>("/nodes"), environment());
    for (const [name, value] of Object.entries(told))
      if (process.env[name] !== value) console.log(`export ${name}='${value}'`);
  },
};

async function deploy(engine: Engine, overlays: string[]): Promise<void> {
  await deployAll(await prepare(engine, overlays));
}

/** Images and secrets. */
async function prepare(engine: Engine, overlays: string[]): Promise<Deployment> {
  const found = await complaints(engine, environment());
  if (found.length > 0) throw new Error(found.join("\n"));
  const nodes = await engine.get<Node[]>("/nodes");
  const images = await buildImages(say, environment());
  const env = await stackEnvironment(overlays, nodes, { ...environment(), ...images });
  const file = readStackFile(overlays);
  // What was built or loaded here is in no registry, which would have a host in the name.
  const resolve = env["BODEGA_IMAGE"]?.includes("/") ? [] : ["--resolve-image", "never"];
  const docker = (...args: string[]) => must(["docker", "stack", "deploy", ...resolve, ...args, STACK], { env });
  return { engine, file, env, docker };
}

async function deployAll(deployment: Deployment): Promise<void> {
  const { engine, file, env, docker } = deployment;
  await roll(membersIn(file.services), deployment);
  await migrateFirst(deployment);
  await roll(othersIn(file.services), deployment);
  const since = await clockOf(engine);
  await docker("--prune", ...file.files());
  await converge(engine, { stack: STACK, since, msMax: READY_MS_MAX, tell });
  await remember(deployment);
  say(`\nready: ${env["PUBLIC_URL"]}\nthe admin's password is in ${env["SECRETS"]}/admin_password`);
}

interface Deployment {
  engine: Engine;
  file: StackFile;
  /** What fills in the file. */
  env: Environment;
  /** `docker stack deploy` with these arguments. */
  docker: (...args: string[]) => Promise<string>;
}

/** Alone, so that no empty member begins a cluster before the restored one leads. */
async function startRestored({ engine, file, env, docker }: Deployment): Promise<void> {
  const since = await clockOf(engine);
  const etcd = membersIn(file.services).filter((name) => name.startsWith("etcd"));
  await docker(...file.files([...etcd, RESTORED]));
  await converge(engine, { stack: STACK, since, msMax: READY_MS_MAX, tell });
  await patiently(async () => (await leaderOf(STACK, env)) === RESTORED, `${RESTORED} did not lead`);
}

/**
 * Of these services those that run and are to be something else, one at a time: a node is not asked for room for all of them twice, and what is not healthy
 * ends the deployment before the others have it. The rest of the deployment finds them as they are to be.
 */
async function roll(names: string[], deployment: Deployment): Promise<void> {
  const { engine, file, env } = deployment;
  const running = await servicesOf(engine);
  const changed = names.filter((name) => {
    const service = running.get(name);
    return service && printOn(service) !== file.print(name, env);
  });
  for (const name of await leaderLast(changed, STACK, env)) {
    say(`updating ${name}${(await stepDown(name, STACK, env)) ? ", after a switchover" : ""}`);
    await deployAlone(name, deployment);
    await patiently(() => letsClientsIn(name, STACK, env), `${name} let no client in`);
  }
}

/** Of a stack that runs, tables are brought up to date before the first new process comes beside the old ones. */
async function migrateFirst(deployment: Deployment): Promise<void> {
  const running = await servicesOf(deployment.engine);
  for (const name of migratingIn(deployment.file.services)) if (running.has(name)) await deployAlone(name, deployment);
}

/** Resolves when it is ready. */
async function deployAlone(service: string, { engine, file, docker }: Deployment): Promise<void> {
  const since = await clockOf(engine);
  await docker(...file.files([service]));
  await converge(engine, { stack: STACK, since, msMax: READY_MS_MAX, services: [service], tell: () => {} });
}

const PRINT = "bodega.print";

/** Notes at each service what it was told, so that the next deployment knows whom to leave alone. A label of a service restarts nothing. */
async function remember({ engine, file, env }: Deployment): Promise<void> {
  const running = await servicesOf(engine);
  for (const name of [...membersIn(file.services), ...othersIn(file.services)]) {
    const print = file.print(name, env);
    const service = running.get(name);
    if (service && printOn(service) !== print)
      await must(["docker", "service", "update", "-q", "--detach", "--label-add", `${PRINT}=${print}`, service.ID]);
  }
}

/** What it was told, as far as that was noted. */
function printOn({ Spec }: Service): string | undefined {
  return Spec.Labels[PRINT];
}

/** Those that run, by their names in the stack's file. */
async function servicesOf(engine: Engine): Promise<Map<string, Service>> {
  const services = await engine.get<Service[]>("/services", of(STACK));
  return new Map(services.map((service) => [service.Spec.Name.replace(`${STACK}_`, ""), service]));
}

async function clockOf(engine: Engine): Promise<string> {
  return (await engine.get<{ SystemTime: string }>("/info")).SystemTime;
}

async function lookOnce(engine: Engine): Promise<Row[]> {
  const services = await engine.get<Service[]>("/services", { ...of(STACK), status: "true" });
  return rowsOf(services, await engine.get<Task[]>("/tasks", of(STACK)), "");
}

const MARKS = { ready: "ok", waiting: "..", failed: "!!" };

function line({ name, running, desired, state, reason }: Row): string {
  return `${MARKS[state]}  ${name.padEnd(28)} ${running}/${desired}  ${reason}`.trimEnd();
}

let drawn = 0;

/** On a terminal in the place of the last one; elsewhere a line of what is still waited for. */
function tell(rows: Row[]): void {
  const shown = rows.filter(({ desired, state }) => desired > 0 || state !== "ready");
  if (!process.stderr.isTTY) {
    tellPlainly(shown);
    return;
  }
  if (drawn > 0) process.stderr.write(`\x1b[${drawn}A\x1b[0J`);
  drawn = shown.length;
  for (const row of shown) say(line(row));
}

function tellPlainly(rows: Row[]): void {
  const waiting = rows.filter(({ state }) => state !== "ready").map(({ name }) => name.replace(`${STACK}_`, ""));
  const missing = waiting.length > 0 ? `, not yet ${waiting.join(" ")}` : "";
  say(`${rows.length - waiting.length} of ${rows.length} ready${missing}`);
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { volumes: { type: "boolean", default: false }, at: { type: "string" } },
  });
  const [word = "", ...words] = positionals;
  const command = COMMANDS[word];
  if (!command) throw new Error(USAGE);
  await command(openEngine(), words, values);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
