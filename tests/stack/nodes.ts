// A swarm of three nodes on one machine: each of the others is an Engine in network, mount and host name namespaces of its own, at the end of a cable to a bridge.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, run } from "../../scripts/command.ts";
import { type Daemon, type Dockerd, label, startDockerd, startManager, type Worker } from "./daemon.ts";

/** This machine, the first node, is 1 in it, node2 is 2. */
const NETWORK = "10.99.0";
const BRIDGE = "bodega-nodes";
const FIRST = 1;
const OTHERS = [2, 3];
/** A name server that refuses at once, as none does from afar: an image is looked for in a registry first, also where it is there. */
const RESOLVER = "nameserver 127.0.0.1\n";
const BEGIN = 'mount --bind "$0" /etc/resolv.conf && hostname "$1" && shift && exec "$@"';

type Closers = (() => Promise<unknown>)[];

/** A manager with slot1, and a worker with each of the other slots. */
export async function startNodes(folder: string): Promise<Daemon> {
  const closers: Closers = [];
  async function end() {
    for (let next = closers.pop(); next; next = closers.pop()) await next();
  }
  try {
    await ip("link", "add", BRIDGE, "type", "bridge");
    closers.push(() => ip("link", "delete", BRIDGE));
    await ip("address", "add", `${addressOf(FIRST)}/24`, "dev", BRIDGE);
    await ip("link", "set", BRIDGE, "up");
    const manager = await startManager(folder, addressOf(FIRST));
    closers.push(manager.end);
    await label(manager, [`slot${FIRST}`], manager);
    // Docker lets nothing be forwarded that is not its own.
    await must(["iptables", "-I", "FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"]);
    const workers = new Map<string, Worker>();
    for (const number of OTHERS) workers.set(nameOf(number), await startWorker(manager, { folder, number, closers }));
    return { ...manager, gateway: addressOf(FIRST), workers, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** A node that has joined, with its slot; what is to be undone comes to `closers`. */
async function startWorker(
  manager: Dockerd,
  { folder, number, closers }: { folder: string; number: number; closers: Closers },
): Promise<Worker> {
  const name = nameOf(number);
  const namespace = `bodega-${name}`;
  const plug = `bodega-${number}`;
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const resolver = join(own, "resolv.conf");
  writeFileSync(resolver, RESOLVER);
  await ip("netns", "add", namespace);
  closers.push(() => ip("netns", "delete", namespace));
  await ip("link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", namespace);
  await ip("link", "set", plug, "master", BRIDGE, "up");
  for (const words of [
    ["link", "set", "lo", "up"],
    ["address", "add", `${addressOf(number)}/24`, "dev", "eth0"],
    ["link", "set", "eth0", "up"],
  ])
    await ip("-n", namespace, ...words);
  // Not `ip netns exec`, which mounts another /sys, without groups of processes.
  const within = ["nsenter", `--net=/run/netns/${namespace}`, "unshare", "--uts", "--mount"];
  const dockerd = await startDockerd(own, [...within, "sh", "-c", BEGIN, resolver, name], {
    // Not the one above: for containers Docker would take one of the Internet in its place.
    dns: [addressOf(FIRST)],
  });
  closers.push(async () => {
    await forget(dockerd);
    await dockerd.end();
  });
  const token = (await manager.docker("swarm", "join-token", "-q", "worker")).trim();
  await dockerd.docker("swarm", "join", "--advertise-addr", addressOf(number), "--token", token, addressOf(FIRST));
  await label(manager, [`slot${number}`], dockerd);
  return { ...dockerd, cable: async (state) => void (await ip("link", "set", plug, state)) };
}

/** Its images may stay for the next run, but not what a stack has kept on it: `bun run stack down --volumes` removes that of its own node. */
async function forget({ docker, env }: Dockerd): Promise<void> {
  await run(["docker", "swarm", "leave", "--force"], { env });
  const kept = (await docker("volume", "ls", "-q")).split("\n").filter(Boolean);
  if (kept.length > 0) await docker("volume", "rm", "--force", ...kept);
}

/** Gives every other node the images that the first one has, as a registry would. */
export async function shareImages({ env, docker, workers }: Daemon, say: (line: string) => void): Promise<void> {
  const imagesOf = async (asked: Dockerd["docker"]) => {
    const lines = (await asked("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")).split(
      "\n",
    );
    return lines.filter((line) => line && !line.includes("<none>"));
  };
  const images = await imagesOf(docker);
  for (const [name, worker] of workers) {
    const there = await imagesOf(worker.docker);
    const missing = images.filter((image) => !there.includes(image)).map((image) => image.split(" ")[0] ?? "");
    if (missing.length === 0) continue;
    say(`  ${missing.length} images to ${name}`);
    const script = 'set -o pipefail; host=$1; shift; docker save "$@" | DOCKER_HOST=$host docker load -q';
    await must(["bash", "-c", script, "share", worker.host, ...missing], { env });
  }
}

function nameOf(number: number): string {
  return `node${number}`;
}

function addressOf(number: number): string {
  return `${NETWORK}.${number}`;
}

function ip(...words: string[]): Promise<unknown> {
  return must(["ip", ...words]);
}
