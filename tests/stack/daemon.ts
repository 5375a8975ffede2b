// Docker Engines of the test's own, each in a folder: its images, volumes, socket and process id are nobody else's. The first is a swarm; others may join it.
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, run } from "../../scripts/command.ts";
import { find } from "../../scripts/servers/find.ts";
import { until } from "../../scripts/servers/until.ts";

const END_MS_MAX = 60_000;
const SLOTS = ["slot1", "slot2", "slot3"];
const SWARM_PORT = 2377;
const CGROUP = "bodega-stack";
const CGROUPS = "/sys/fs/cgroup";
/** Without it all containers together weigh as much as one other process of this machine. */
const CPU_SHARES = "16384";
/** Beside all containers together; they have it too, and among themselves it says nothing. An Engine that is starved does not answer itself in time, and takes its own node for lost. */
const NICE = "-15";
/** Of who says nothing for three times as long, all tasks are started elsewhere; here there is no elsewhere. */
const HEARTBEAT = "30s";
/** Of tables that nobody has used yet, iptables-save says nothing. */
const NO_RULES = [
  "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n",
  "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n",
];

/** A process of dockerd that answers. */
export interface Dockerd {
  /** For DOCKER_HOST. */
  host: string;
  /** The environment of commands that are for it. */
  env: Record<string, string>;
  docker(...args: string[]): Promise<string>;
  /** A folder that each of its processes is told. */
  execRoot: string;
  /** Ends it, but for its images where the folder is kept. */
  end(): Promise<void>;
}

/** A manager, and what its swarm has besides. */
export interface Daemon extends Dockerd {
  /** Where processes of this machine are found from inside containers. */
  gateway: string;
  /** Other nodes, by their names. */
  workers: Map<string, Worker>;
}

/** A node on what is for it another machine. */
export interface Worker extends Dockerd {
  /** Takes its cable out, and puts it in again. */
  cable(state: "up" | "down"): Promise<void>;
}

/** On this machine, or this kernel, no Engine starts. */
export class NoEngine extends Error {}

/** Why there can be none here; undefined when there can. */
export function daemonMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "a Docker Engine of one's own wants root";
  const programs = ["dockerd", "docker", "iptables", "debootstrap", "unshare"];
  const absent = programs.filter((program) => !find(program));
  if (absent.length === 0) return undefined;
  return `not installed: ${absent.join(", ")} (Debian: apt-get install docker.io iptables debootstrap util-linux)`;
}

/** A swarm of one node that has all slots. */
export async function startDaemon(folder: string): Promise<Daemon> {
  const manager = await startManager(folder, "127.0.0.1");
  try {
    await label(manager, SLOTS, manager);
    return { ...manager, gateway: await addressOfBridge(), workers: new Map() };
  } catch (error) {
    await manager.end();
    throw error;
  }
}

/** The one node of a swarm that others can join at `address`, which this machine has. All that it makes here it takes away at its end. */
export async function startManager(folder: string, address: string): Promise<Dockerd> {
  const rules = await must(["iptables-save"]);
  const bridges = await bridgesOfDocker();
  giveWeight();
  let started: Dockerd | undefined;

  async function end() {
    if (started) await run(["docker", "swarm", "leave", "--force"], { env: started.env });
    await started?.end();
    for (const bridge of await bridgesOfDocker())
      if (!bridges.includes(bridge)) await must(["ip", "link", "delete", bridge]);
    await restore(folder, rules);
    for (const { name } of readdirSync(CGROUPS, { withFileTypes: true })) {
      const group = join(CGROUPS, name, CGROUP);
      if (existsSync(group)) rmdirSync(group);
    }
  }

  try {
    // Its mounts are in a namespace of its own, and gone with it.
    const dockerd = await startDockerd(folder, ["unshare", "--mount"]);
    started = dockerd;
    await dockerd.docker("swarm", "init", "--advertise-addr", address, "--listen-addr", `${address}:${SWARM_PORT}`);
    await dockerd.docker("swarm", "update", "--dispatcher-heartbeat", HEARTBEAT);
    return { ...dockerd, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** `within` is a command that starts another in the namespaces that it is to have; `settings` are of dockerd's own file. */
export async function startDockerd(
  folder: string,
  within: string[],
  settings: Record<string, unknown> = {},
): Promise<Dockerd> {
  mkdirSync(folder, { recursive: true });
  const path = (name: string) => join(folder, name);
  if (existsSync(path("docker.sock"))) throw new Error(`another one seems to run in ${folder}: it has a docker.sock`);
  writeFileSync(path("daemon.json"), JSON.stringify({ "shutdown-timeout": 15, ...settings }));
  const log = openSync(path("dockerd.log"), "a");
  const host = `unix://${path("docker.sock")}`;
  const words = ["--host", host, "--config-file", path("daemon.json"), "--cgroup-parent", `/${CGROUP}`];
  const places = ["--data-root", path("data"), "--exec-root", path("exec"), "--pidfile", path("dockerd.pid")];
  const how = ["--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"];
  const child = Bun.spawn(["nice", "-n", NICE, ...within, "dockerd", ...words, ...places, ...how], {
    stdio: ["ignore", log, log],
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
  });
  // Docker's client without buildx has the builder that knows no other.
  const env = { DOCKER_HOST: host, DOCKER_BUILDKIT: "0" };

  async function end() {
    child.kill();
    const code = await Promise.race([child.exited, Bun.sleep(END_MS_MAX).then(() => "late" as const)]);
    if (code === "late") throw new Error(`dockerd did not end within ${END_MS_MAX} ms: ${path("dockerd.log")}`);
    for (const name of ["exec", "docker.sock", "daemon.json"]) rmSync(path(name), { recursive: true, force: true });
  }

  try {
    await until(
      "dockerd answers",
      async () => existsSync(path("docker.sock")) && (await run(["docker", "info"], { env })).code === 0,
      () => {
        if (child.exitCode !== null) throw new NoEngine(`dockerd ended:\n${lastOf(path("dockerd.log"))}`);
      },
    );
    return { host, env, docker: (...args) => must(["docker", ...args], { env }), execRoot: path("exec"), end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Lets a node of the manager's swarm have the members that these slots are for. */
export async function label(manager: Dockerd, slots: string[], node: Dockerd): Promise<void> {
  const id = (await node.docker("info", "--format", "{{.Swarm.NodeID}}")).trim();
  await manager.docker("node", "update", ...slots.flatMap((slot) => ["--label-add", `${slot}=true`]), id);
}

async function restore(folder: string, rules: string): Promise<void> {
  const path = join(folder, "rules");
  writeFileSync(path, `${rules}${NO_RULES.filter((table) => !rules.includes(firstOf(table))).join("")}`);
  await must(["iptables-restore", path]);
  rmSync(path);
}

/** Where groups of processes have a hierarchy for each resource, those that are in no group weigh one by one. */
function giveWeight() {
  const cpu = join(CGROUPS, "cpu");
  if (!existsSync(join(cpu, "cpu.shares"))) return;
  mkdirSync(join(cpu, CGROUP), { recursive: true });
  writeFileSync(join(cpu, CGROUP, "cpu.shares"), CPU_SHARES);
}

function firstOf(table: string): string {
  return table.split("\n")[0] ?? "";
}

async function bridgesOfDocker(): Promise<string[]> {
  const said = await must(["ip", "-o", "link", "show", "type", "bridge"]);
  return Array.from(said.matchAll(/^\d+: (docker[^:@]*)/gm), ([, name = ""]) => name);
}

/** Of this machine on Docker's own network. Docker does not tell it of a bridge that it has just made, nor does the runtime of one that no container is on. */
async function addressOfBridge(): Promise<string> {
  const said = await must(["ip", "-4", "-o", "address", "show", "dev", "docker0"]);
  const [, address] = /\binet (\S+)\//.exec(said) ?? [];
  if (!address) throw new Error(`docker0 has no IPv4 address: ${said}`);
  return address;
}

function lastOf(path: string): string {
  return readFileSync(path, "utf8").split("\n").slice(-12).join("\n");
}
