// In which order services are updated, one at a time; Swarm itself would take all services of a file at once.
import { run } from "../command.ts";
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

/** Ends by itself, and comes before all that stands on its tables. */
export const MIGRATES = "provision";
/** It is told by everybody and tells nobody: it is new before anybody tells it something new. */
const FIRST = ["mail"];
/** Auth tells the most of what is new; the edge comes after all whom it leads to. */
const LAST = ["auth", "gateway", "haproxy"];

/** What is no member of a cluster. */
export function othersIn(services: string[]): string[] {
  const apart = [...membersIn(services), ...FIRST, ...LAST, MIGRATES];
  const there = (names: string[]) => names.filter((name) => services.includes(name));
  return [...there(FIRST), ...services.filter((name) => !apart.includes(name)), ...there(LAST)];
}

/** The leader of a Patroni cluster last, whoever that is by now. */
export async function leaderLast(members: string[], stack: string, env: Environment): Promise<string[]> {
  const leader = await leaderOf(stack, env);
  return leader && members.includes(leader) ? [...members.filter((name) => name !== leader), leader] : members;
}

/** Hands the lead to a replica before `member` goes; writes wait for seconds instead of for the length of a lease. */
export async function stepDown(member: string, stack: string, env: Environment): Promise<boolean> {
  if (!member.startsWith("patroni") || (await leaderOf(stack, env)) !== member) return false;
  const patroni = await containerOf("patroni", stack, env);
  if (!patroni) return false;
  const { code } = await docker(
    ["exec", patroni, "patronictl", "-c", "/etc/bodega/patroni.yml", "switchover", "--force"],
    env,
  );
  return code === 0;
}

interface Member {
  Member: string;
  Role: string;
}

/** Undefined where no member is on this node: from here it cannot be asked then. */
export async function leaderOf(stack: string, env: Environment): Promise<string | undefined> {
  const patroni = await containerOf("patroni", stack, env);
  if (!patroni) return undefined;
  const list = ["exec", patroni, "patronictl", "-c", "/etc/bodega/patroni.yml", "list", "-f", "json"];
  const { code, output } = await docker(list, env);
  if (code !== 0) return undefined;
  // What `patronictl list -f json` prints.
  const members = JSON.parse(output) as Member[];
  return members.find(({ Role }) => Role === "Leader")?.Member;
}

/** A running container of this node, of a service whose name begins so. */
async function containerOf(service: string, stack: string, env: Environment): Promise<string | undefined> {
  const { output } = await docker(["ps", "-q", "--filter", `name=^${stack}_${service}`], env);
  return output.split("\n")[0] || undefined;
}

function docker(args: string[], env: Environment) {
  return run(["docker", ...args], { env });
}
