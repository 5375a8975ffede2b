// The stack on the test's own Engine: `bun run stack` as an operator has it, and what befalls a stack that runs.
import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/command.ts";
import { until } from "../../scripts/servers/until.ts";
import { converge } from "../../scripts/stack/converge.ts";
import { type Node, openEngine, type Service } from "../../scripts/stack/engine.ts";
import { buildImages, PATRONI } from "../../scripts/stack/environment.ts";
import { leaderOf, standbyOf, stepDown } from "../../scripts/stack/members.ts";
import { READY_MS_MAX } from "../../scripts/stack/patience.ts";
import { readStackFile } from "../../scripts/stack/stack-file.ts";
import { ROOT } from "../../scripts/tree.ts";
import { SERVICE_NAMES } from "../../services/all.ts";
import { TIME_SCALE } from "../chaos/load.ts";
import { ADMIN } from "../chaos/shop.ts";
import type { Daemon, Dockerd } from "./daemon.ts";
import { shareImages } from "./nodes.ts";

export const STACK = "bodega";
/** Members of all clusters and every service twice are more than fewer can carry: brokers that get no processor are taken for gone. */
const CORES_FOR_TWO = 4;
/** The user's number in the image. */
const POSTGRES = 999;

export interface Place {
  daemon: Daemon;
  folder: string;
  /** Overlays of stack.yml. */
  overlays: string[];
  httpsPort: string;
  httpPort: string;
  /** Where mails go out to. */
  smtpUrl: string;
  /** Where Alertmanager sends pages to. */
  pagerUrl: string;
  since: Date;
}

export interface Swarm {
  /** The edge, through HAProxy. */
  url: string;
  /** Whom to believe that it is the edge. */
  ca: string;
  /** Of the superuser, at an address. */
  databaseUrl(address: string): string;
  /** The server that a service keeps its database on, such as "pg:5432". */
  serverOf(service: string): string;
  /** `bun run stack …`; `told` are variables of stack.yml, which has others of its own. */
  stack(words: string[], told?: Record<string, string>): Promise<void>;
  /** An image that differs from the product's by these lines of a Dockerfile. */
  variant(name: string, lines: string): Promise<string>;
  /** Tasks by service, as many as are wanted; resolves when they are all there, and none of a service that is to have none. */
  scale(replicas: Record<string, number>): Promise<void>;
  /** Starts the tasks of these services anew. Of two that must be on nodes of their own, one then is where none was. */
  spread(services: string[]): Promise<void>;
  /** SIGKILL to a container of that service, or another signal; Swarm sees to the rest. */
  signal(service: string, signal?: string): Promise<void>;
  /** Updates services to an image and resolves with the states that their updates end in. */
  update(services: string[], image: string): Promise<string[]>;
  /** Of a service that runs. */
  imageOf(service: string): Promise<string>;
  /** The member of a Patroni cluster that leads it. */
  leader(cluster?: string): Promise<string>;
  /** Resolves when a member of that cluster has every commit that is acknowledged, besides the one that leads. */
  replicated(cluster?: string): Promise<void>;
  /** A planned one, as an upgrade has it; resolves when another member leads. */
  switchover(cluster?: string): Promise<void>;
  /** Nobody hears of a node any more, which goes on by itself; resolves when every service is ready without it. */
  cut(node: string): Promise<void>;
  /** What was drained or cut is a node like the others again; resolves when all is ready. */
  mend(node: string): Promise<void>;
  /** Resolves when all is ready. */
  ready(): Promise<void>;
  /** How many of how many services are ready. */
  status(): Promise<string>;
  /** What the containers said that are or were; what Swarm tells of a service may never end. */
  logs(): Promise<{ name: string; said: string }[]>;
}

export async function openSwarm(place: Place, say: (line: string) => void): Promise<Swarm> {
  const { daemon, folder, overlays, httpsPort, httpPort, smtpUrl, pagerUrl, since } = place;
  const secrets = join(folder, "secrets");
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  writeFileSync(join(secrets, "admin_password"), ADMIN.password, { mode: 0o600 });
  writeFileSync(join(secrets, "alert_webhook_url"), pagerUrl, { mode: 0o600 });
  // The user of the archive writes there; what it needs is removed with the folder's other parts.
  const backups = join(folder, "backups");
  mkdirSync(backups, { recursive: true, mode: 0o700 });
  chownSync(backups, POSTGRES, POSTGRES);
  const url = `https://localhost:${httpsPort}`;
  const shared = daemon.workers.size > 0 ? await sharedImages(daemon, say) : {};
  const engine = openEngine(daemon.host);
  const env: Record<string, string> = {
    ...daemon.env,
    ...shared,
    STACK,
    SECRETS: secrets,
    BACKUPS: backups,
    PUBLIC_URL: url,
    HTTPS_PORT: httpsPort,
    HTTP_PORT: httpPort,
    PAYMENT_PROVIDER: "embedded",
    SMTP_URL: smtpUrl,
    REPLICAS: availableParallelism() < CORES_FOR_TWO ? "1" : "2",
    // Of it there is nothing to make an image of.
    GRAFANA: "0",
    TRACES_KEPT_PERCENT: "100",
    RATE_LIMITS: "off",
    // Its facts would go on while the books wait for quiet.
    CANARY_EVERY: "500h",
    DEMO: "on",
    KITCHEN_STAFF: "on",
    ADMIN_EMAIL: ADMIN.email,
    TIME_SCALE: String(TIME_SCALE),
    TIME_SCALE_SINCE: since.toISOString(),
  };

  const file = readStackFile(overlays);
  const nameOf = (service: string) => `${STACK}_${service}`;
  const clock = async () => (await engine.get<{ SystemTime: string }>("/info")).SystemTime;
  const inspect = (service: string) => engine.get<Service>(`/services/${nameOf(service)}`);

  const engines: Dockerd[] = [daemon, ...daemon.workers.values()];

  /** Of all nodes, each with the Engine that runs it. */
  async function containersOf(service: string) {
    const found = await Promise.all(
      engines.map(async ({ docker }) => {
        const ids = await docker("ps", "-q", "--filter", `name=^${nameOf(service)}\\.`);
        return ids.split("\n").flatMap((id) => (id ? [{ id, docker }] : []));
      }),
    );
    return found.flat();
  }

  async function leader(cluster?: string) {
    const found = await leaderOf(STACK, env, cluster);
    if (!found) throw new Error("expected a leader of Patroni, found none");
    return found;
  }

  /** These, or all. */
  async function ready(services?: string[]) {
    const only = services && { services };
    await converge(engine, { stack: STACK, since: await clock(), msMax: READY_MS_MAX, ...only, tell: () => {} });
  }

  function workerCalled(node: string) {
    const worker = daemon.workers.get(node);
    if (!worker) throw new Error(`expected a node called ${[...daemon.workers.keys()].join(" or ")}, found ${node}`);
    return worker;
  }

  async function stateOf(node: string, state: string) {
    await until(`${node} is ${state}`, async () => {
      const nodes = await engine.get<Node[]>("/nodes");
      return nodes.some(({ Description, Status }) => Description.Hostname === node && Status.State === state);
    });
  }

  return {
    url,
    get ca() {
      const pem = readFileSync(join(secrets, "tls_pem"), "utf8");
      return /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(pem)?.[0] ?? "";
    },
    databaseUrl(address) {
      const password = readFileSync(join(secrets, "pg_super"), "utf8").trim();
      return `postgres://postgres:${password}@${address}/postgres`;
    },
    serverOf: (service) => new URL(file.environment(service, env)["DATABASE_URL"] ?? "").host,
    async stack(words, told) {
      const child = Bun.spawn([process.execPath, join(ROOT, "scripts", "stack.ts"), ...words, ...overlays], {
        cwd: ROOT,
        env: { ...process.env, ...env, ...told },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const telling = Promise.all([tellLines(child.stdout, say), tellLines(child.stderr, say)]);
      const [code] = await Promise.all([child.exited, telling]);
      if (code !== 0) throw new Error(`bun run stack ${words.join(" ")} ended with ${code}`);
    },
    async variant(name, lines) {
      const tag = `bodega:${name}`;
      const work = join(folder, name);
      mkdirSync(work, { recursive: true });
      writeFileSync(join(work, "Dockerfile"), `FROM bodega:local\n${lines}\n`);
      await daemon.docker("build", "-q", "-t", tag, work);
      rmSync(work, { recursive: true });
      await shareImages(daemon, say);
      return tag;
    },
    async scale(replicas) {
      if (Object.keys(replicas).length === 0) return;
      const wishes = Object.entries(replicas).map(([service, count]) => `${nameOf(service)}=${count}`);
      await daemon.docker("service", "scale", "--detach", ...wishes);
      await ready();
      // Of whom none is wanted, none is waited for.
      for (const service of Object.keys(replicas).filter((name) => replicas[name] === 0))
        await until(`${service} is gone`, async () => (await containersOf(service)).length === 0);
    },
    async spread(services) {
      for (const service of services)
        await daemon.docker("service", "update", "--force", "-q", "--detach", nameOf(service));
      await ready();
    },
    async signal(service, signal = "KILL") {
      const [container] = await containersOf(service);
      if (!container) throw new Error(`expected a container of ${service}, found none`);
      await container.docker("kill", "--signal", signal, container.id);
    },
    async update(services, image) {
      const began = await clock();
      for (const service of services)
        await daemon.docker("service", "update", "-q", "--detach", "--image", image, nameOf(service));
      const states: string[] = [];
      for (const service of services) {
        let state = "";
        await until(`the update of ${service} has ended`, async () => {
          const { StartedAt = "", State = "" } = (await inspect(service)).UpdateStatus ?? {};
          state = StartedAt > began ? State : "";
          return state !== "" && state !== "updating" && state !== "rollback_started";
        });
        states.push(state);
      }
      return states;
    },
    imageOf: async (service) => (await inspect(service)).Spec.TaskTemplate.ContainerSpec.Image,
    leader,
    async replicated(cluster) {
      await until("a replica has every commit", async () => (await standbyOf(STACK, env, cluster)) !== undefined);
    },
    async switchover(cluster) {
      const before = await leader(cluster);
      if (!(await stepDown(before, STACK, env))) throw new Error(`expected ${before} to step down, it did not`);
    },
    async cut(node) {
      await workerCalled(node).cable("down");
      await stateOf(node, "down");
      // Members wait for their own node.
      await ready(["gateway", "pg", ...SERVICE_NAMES]);
    },
    async mend(node) {
      await workerCalled(node).cable("up");
      await stateOf(node, "ready");
      await daemon.docker("node", "update", "--availability", "active", node);
      await ready();
    },
    ready: () => ready(),
    async logs() {
      const found = engines.map(async ({ docker, env: own }) => {
        const containers = (await docker("ps", "-a", "--format", "{{.ID}} {{.Names}}")).split("\n").filter(Boolean);
        const logs = containers.map(async (line) => {
          const [id = "", name = ""] = line.split(" ");
          return { name, said: (await run(["docker", "logs", id], { env: own })).output };
        });
        return await Promise.all(logs);
      });
      return (await Promise.all(found)).flat();
    },
    async status() {
      const { output } = await run([process.execPath, join(ROOT, "scripts", "stack.ts"), "status"], { env });
      // A small stack has members with no tasks.
      const rows = output.split("\n").filter((row) => /\d\/[1-9]/.test(row) || row.includes("_provision"));
      return `${rows.filter((row) => row.startsWith("ok")).length} of ${rows.length} services ready`;
    },
  };
}

/** Of the product; built where there is one Engine, as an operator of several nodes has to. */
async function sharedImages(daemon: Daemon, say: (line: string) => void): Promise<Record<string, string>> {
  const built = await buildImages(say, daemon.env);
  await shareImages(daemon, say);
  return { PATRONI_IMAGE: PATRONI, ...built };
}

async function tellLines(stream: ReadableStream<Uint8Array>, say: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) say(`    ${line}`);
  }
}
