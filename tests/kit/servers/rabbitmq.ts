// A real RabbitMQ of a test, or three behind HAProxy: on ports of its own.
import { type Servers, startServers } from "../../../scripts/servers/start-servers.ts";
import { absent } from "./absent.ts";

/** Why tests that need a real server are skipped; undefined when they are not. */
export const NO_RABBITMQ = absent(["epmd", "rabbitmq"]);
export const NO_RABBITMQ_CLUSTER = absent(["epmd", "rabbitmq", "haproxy"]);

/** Ten copies of a test side by side do not meet. */
const BASE_PORT = 19_000 + (process.pid % 10) * 100;

export interface RabbitServer {
  url: string;
  start(): Promise<void>;
  /** As by kill -9. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  end(): Promise<void>;
}

export async function startRabbit(): Promise<RabbitServer> {
  const { url, nodes, end } = await startAll("rabbitmq", 1);
  const [node] = nodes;
  if (!node) throw new Error("no RabbitMQ was started");
  return { ...node, url, end };
}

export type RabbitNodeServer = Omit<RabbitServer, "url" | "end">;

export interface RabbitCluster {
  /** Of HAProxy. */
  url: string;
  nodes: RabbitNodeServer[];
  end(): Promise<void>;
}

export async function startRabbitCluster(): Promise<RabbitCluster> {
  return startAll("haproxy", 3);
}

async function startAll(kind: "rabbitmq" | "haproxy", size: 1 | 3): Promise<RabbitCluster> {
  const servers = await startServers([kind], { size, basePort: BASE_PORT });
  return {
    url: urlIn(servers),
    nodes: servers.names
      .filter((name) => name.startsWith("rabbitmq-"))
      .map((name) => ({
        start: () => servers.start(name),
        kill: () => servers.kill(name),
        freeze: () => servers.pause(name),
        thaw: () => servers.resume(name),
      })),
    end: servers.down,
  };
}

function urlIn({ env }: Servers): string {
  const url = env["RABBITMQ_URL"];
  if (!url) throw new Error("expected RABBITMQ_URL of the servers started");
  return url;
}
