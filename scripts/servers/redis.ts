// One Redis, or a Redis Cluster of three masters with a replica each.
import { run } from "../command.ts";
import { ask } from "./ask.ts";
import { find } from "./find.ts";
import { portsOf } from "./ports.ts";
import { clusterOf, type Kind, nameOf, type Server } from "./server.ts";
import { until } from "./until.ts";

export const redis: Kind = {
  count: (size) => (size === 1 ? 1 : 6),
  ports: ({ number, count, basePort }) => {
    const { client, bus } = portsOf("redis", number, basePort);
    return count === 1 ? { client } : { client, bus };
  },
  needs: [
    { name: "redis-server", found: () => find("redis-server") !== undefined, apt: ["redis-server"], brew: "redis" },
    { name: "redis-cli", found: () => find("redis-cli") !== undefined, apt: ["redis-tools"], brew: "redis" },
  ],
  files: (server) => ({ "redis.conf": config(server) }),
  command: () => ({ argv: [find("redis-server") ?? "redis-server", "redis.conf"] }),
  ready: async (server) => (await say(server, "PING", /\r\n$/))?.startsWith("+PONG") ?? false,
  form,
  env: (servers) => ({ REDIS_URL: servers.map((server) => `redis://127.0.0.1:${portOf(server)}`).join(",") }),
};

export function config(server: Server): string {
  const { client, bus } = portsOf("redis", server.number, server.basePort);
  const lines = [`port ${client}`, "bind 127.0.0.1", "dir .", "appendonly yes", 'save ""'];
  const cluster = [
    "cluster-enabled yes",
    "cluster-config-file nodes.conf",
    "cluster-node-timeout 2000",
    `cluster-port ${bus}`,
    // A replica that never had its master's data is never promoted: let it have them at once, not after five seconds.
    "repl-diskless-sync-delay 0",
  ];
  return `${[...lines, ...(server.count > 1 ? cluster : [])].join("\n")}\n`;
}

async function form(servers: Server[]): Promise<void> {
  const [first] = servers;
  if (!first || servers.length === 1) return;
  if ((await say(first, "CLUSTER INFO", /cluster_known_nodes:\d+\r\n/))?.includes("cluster_known_nodes:1\r\n")) {
    const addresses = clusterOf(first).map((server) => `127.0.0.1:${portOf(server)}`);
    const create = ["--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes"];
    const { code, output } = await run([find("redis-cli") ?? "redis-cli", ...create]);
    if (code !== 0) throw new Error(`redis-cli --cluster create ended with ${code}: ${output}`);
  }
  await Promise.all(
    servers.map((server) => until(`${nameOf(server)} is whole in its cluster`, async () => isWhole(server))),
  );
}

/** A failover before a replica has its master's data loses the slots for good. */
async function isWhole(server: Server): Promise<boolean> {
  const cluster = await say(server, "CLUSTER INFO", /cluster_size:\d+\r\n/);
  const replication = await say(server, "INFO replication", /master_repl_offset:\d+\r\n/);
  if (!cluster?.includes("cluster_state:ok") || !replication) return false;
  return replication.includes("role:master") || replication.includes("master_link_status:up");
}

async function say(server: Server, command: string, whole: RegExp): Promise<string | undefined> {
  return (await ask(portOf(server), `${command}\r\n`, (answer) => whole.test(answer.toString())))?.toString();
}

function portOf({ number, basePort }: Server): number {
  return portsOf("redis", number, basePort).client;
}
