// One RabbitMQ, or a cluster of three that find each other by their configuration.
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../command.ts";
import { ask } from "./ask.ts";
import { findFile } from "./find.ts";
import { portsOf, toolPorts } from "./ports.ts";
import { clusterOf, folderOf, type Kind, type Server } from "./server.ts";

const PROTOCOL_HEADER = Uint8Array.of(...Buffer.from("AMQP"), 0, 0, 9, 1);
const FRAME_OF_METHOD = 1;
const COOKIE_BYTES = 24;
const JOIN_MAX_S = 120;

export const rabbitmq: Kind = {
  count: (size) => size,
  ports: ({ number, basePort }) => portsOf("rabbitmq", number, basePort),
  needs: [
    { name: "rabbitmq-server", found: () => programs() !== undefined, apt: ["rabbitmq-server"], brew: "rabbitmq" },
  ],
  after: ["epmd"],
  files: (server) => ({ "rabbitmq.conf": config(server), enabled_plugins: "[]." }),
  prepare: shareCookie,
  command: (server) => ({ argv: [tool("rabbitmq-server")], env: environment(server) }),
  ready: async (server) => answersAmqp(portsOf("rabbitmq", server.number, server.basePort).amqp),
  async form(servers) {
    const [first] = servers;
    if (!first || servers.length === 1) return;
    const wait = ["await_online_nodes", String(servers.length), "--timeout", String(JOIN_MAX_S)];
    const { code, output } = await run([tool("rabbitmqctl"), ...wait], { env: environment(first) });
    if (code !== 0) throw new Error(`the RabbitMQ nodes did not become one cluster: ${output}`);
  },
  env: (servers) => ({
    RABBITMQ_URL: servers
      .map(({ number, basePort }) => `amqp://guest:guest@127.0.0.1:${portsOf("rabbitmq", number, basePort).amqp}`)
      .join(","),
  }),
};

/** The server opens with Connection.Start once it has started up, and not before. */
export async function answersAmqp(port: number): Promise<boolean> {
  const answer = await ask(port, PROTOCOL_HEADER, ({ length }) => length > 0);
  return answer?.[0] === FRAME_OF_METHOD;
}

export function config(server: Server): string {
  const { amqp } = portsOf("rabbitmq", server.number, server.basePort);
  const peers = clusterOf(server).map(
    ({ number }) => `cluster_formation.classic_config.nodes.${number} = rabbitmq-${number}@localhost`,
  );
  const lines = [
    `listeners.tcp.default = 127.0.0.1:${amqp}`,
    "cluster_formation.peer_discovery_backend = classic_config",
    ...peers,
    "vm_memory_high_watermark.absolute = 512MB",
    "disk_free_limit.absolute = 200MB",
  ];
  return `${lines.join("\n")}\n`;
}

function environment(server: Server): Record<string, string> {
  const { number, basePort } = server;
  const { amqp, distribution } = portsOf("rabbitmq", number, basePort);
  const folder = folderOf(server);
  const { first, last } = toolPorts(basePort);
  return {
    HOME: folder,
    RABBITMQ_NODENAME: `rabbitmq-${number}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
    RABBITMQ_NODE_PORT: String(amqp),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(folder, "data"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq"),
    RABBITMQ_CONF_ENV_FILE: join(folder, "none"), // not the machine's own
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
    RABBITMQ_PID_FILE: join(folder, "rabbitmq.pid"),
    RABBITMQ_CTL_DIST_PORT_MIN: String(first),
    RABBITMQ_CTL_DIST_PORT_MAX: String(last),
    // Without these the shell script stays between us and the process to be signalled.
    RABBITMQ_ALLOW_INPUT: "true",
    RABBITMQ_SERVER_START_ARGS: "-noinput",
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    ERL_EPMD_PORT: String(portsOf("epmd", 1, basePort).names),
    ERL_EPMD_ADDRESS: "127.0.0.1",
  };
}

/** Who knows the cookie may run code in the nodes: it is random, and only its owner reads it. */
async function shareCookie(server: Server): Promise<void> {
  const own = join(folderOf(server), ".erlang.cookie");
  if (existsSync(own)) return;
  const firsts = join(folderOf({ ...server, number: 1 }), ".erlang.cookie");
  const cookie = existsSync(firsts)
    ? readFileSync(firsts, "utf8")
    : Buffer.from(crypto.getRandomValues(new Uint8Array(COOKIE_BYTES))).toString("hex");
  writeFileSync(own, cookie, { mode: 0o400 });
  chmodSync(own, 0o400);
}

/** Not the wrappers on the PATH: Debian's become another user and write to the system's log folder. */
function programs(): string | undefined {
  const found = findFile(
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
  );
  return found && dirname(found);
}

function tool(name: string): string {
  const folder = programs();
  if (!folder) throw new Error("RabbitMQ is not installed");
  return join(folder, name);
}
