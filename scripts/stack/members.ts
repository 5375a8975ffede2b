// In which order services are updated, one at a time; Swarm itself would take all services of a file at once.
import { run } from "../command.ts";
import type { Node } from "./engine.ts";
import { patiently } from "./patience.ts";
import type { Environment } from "./stack-file.ts";

/** In this order: what others stand on first, and of each cluster the first member, who leads at its start, last. */
const CLUSTERS = ["etcd", "patroni", "kafka", "rabbitmq", "redis"];

export function membersIn(services: string[]): string[] {
  const number = (name: string) => Number(/\d+$/.exec(name)?.[0] ?? 0);
  return CLUSTERS.flatMap((cluster) =>
    services
      .filter((name) => new RegExp(`^${cluster}(-[a-z]+)?-\\d+$`).test(name))
      .toSorted((a, b) => number(b) - number(a)),
  );
}

/** Of all members those whose place is on that node. */
export function membersOn({ Spec }: Node, services: string[]): string[] {
  const slots = Object.keys(Spec.Labels).filter((label) => Spec.Labels[label] === "true");
  return membersIn(services).filter((name) => slots.some((slot) => name.endsWith(slot.replace("slot", "-"))));
}

/** They end by themselves, and come before all that stands on their tables. */
export function migratingIn(services: string[]): string[] {
  return services.filter((name) => /^provision(-|$)/.test(name));
}

/** It is told by everybody and tells nobody: it is new before anybody tells it something new. */
const FIRST = ["mail"];
/** Auth tells the most of what is new; the edge comes after all whom it leads to. */
const LAST = ["auth", "gateway", "haproxy"];

/** What is no member of a cluster. */
export function othersIn(services: string[]): string[] {
  const apart = [...membersIn(services), ...FIRST, ...LAST, ...migratingIn(services)];
  const there = (names: string[]) => names.filter((name) => services.includes(name));
  return [...there(FIRST), ...services.filter((name) => !apart.includes(name)), ...there(LAST)];
}

/** The leaders of Patroni clusters last, whoever they are by now. */
export async function leaderLast(members: string[], stack: string, env: Environment): Promise<string[]> {
  const clusters = new Set(members.filter((name) => name.startsWith(PATRONI)).map(clusterOf));
  const leaders = await Promise.all(Array.from(clusters, (cluster) => leaderOf(stack, env, cluster)));
  const leads = (name: string) => leaders.includes(name);
  return [...members.filter((name) => !leads(name)), ...members.filter(leads)];
}

/**
 * Hands the lead to a replica before `member` goes; writes wait for seconds instead of for the length of a lease. True where it led, when another one does:
 * Patroni may have answered before, while the last checkpoint is being written.
 */
export async function stepDown(member: string, stack: string, env: Environment): Promise<boolean> {
  const cluster = clusterOf(member);
  if (!member.startsWith(PATRONI) || (await leaderOf(stack, env, cluster)) !== member) return false;
  const patroni = await memberOf(cluster, stack, env);
  if (!patroni) return false;
  const { code } = await docker(
    ["exec", patroni, "patronictl", "-c", "/etc/bodega/patroni.yml", "switchover", "--force"],
    env,
  );
  if (code !== 0) return false;
  await patiently(async () => {
    const leader = await leaderOf(stack, env, cluster);
    return leader !== undefined && leader !== member;
  }, `nobody took the lead from ${member}`);
  return true;
}

/** Where clients come in. Members are healthy sooner, as soon as they may be found by each other. */
const PORTS: Record<string, number> = { kafka: 9092, rabbitmq: 5672 };

/** Whether it does, as another member of this node finds it, or it itself. True where there is none on this node: from here it cannot be asked then. */
export async function letsClientsIn(member: string, stack: string, env: Environment): Promise<boolean> {
  const port = PORTS[clusterOf(member)];
  const container = port && (await memberOf(clusterOf(member), stack, env));
  if (!container) return true;
  const { code } = await docker(["exec", container, "bash", "-c", `exec 3<>/dev/tcp/${member}/${port}`], env);
  return code === 0;
}

interface Member {
  Member: string;
  Role: string;
}

const PATRONI = "patroni";

/** `patroni-order` of patroni-order-2. */
function clusterOf(member: string): string {
  return member.replace(/-\d+$/, "");
}

/** Undefined where no member is on this node: from here it cannot be asked then. */
export async function leaderOf(stack: string, env: Environment, cluster = PATRONI): Promise<string | undefined> {
  return (await membersOf(stack, env, cluster)).find(({ Role }) => Role === "Leader")?.Member;
}

/** Who has every commit that was acknowledged, and may take the lead. */
export async function standbyOf(stack: string, env: Environment, cluster = PATRONI): Promise<string | undefined> {
  return (await membersOf(stack, env, cluster)).find(({ Role }) => Role === "Sync Standby")?.Member;
}

async function membersOf(stack: string, env: Environment, cluster: string): Promise<Member[]> {
  const patroni = await memberOf(cluster, stack, env);
  if (!patroni) return [];
  const list = ["exec", patroni, "patronictl", "-c", "/etc/bodega/patroni.yml", "list", "-f", "json"];
  const { code, output } = await docker(list, env);
  // Beside what it prints it may complain, such as of a member of etcd that is away.
  const [json] = /^\[.*\]$/m.exec(output) ?? [];
  // What `patronictl list -f json` prints.
  return code === 0 && json ? (JSON.parse(json) as Member[]) : [];
}

/** A running container of this node, of a member of that cluster. */
function memberOf(cluster: string, stack: string, env: Environment): Promise<string | undefined> {
  return containerOf(`${cluster}-[0-9]`, stack, env);
}

/** A running container of this node, of a service whose name begins with this pattern. */
export async function containerOf(service: string, stack: string, env: Environment): Promise<string | undefined> {
  const { output } = await docker(["ps", "-q", "--filter", `name=^${stack}_${service}`], env);
  return output.split("\n")[0] || undefined;
}

function docker(args: string[], env: Environment) {
  return run(["docker", ...args], { env });
}
