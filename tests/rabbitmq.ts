// A real RabbitMQ of a test: on ports and in a folder of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing } from "../scripts/servers/install.ts";
import { type Servers, startServers } from "../scripts/servers/start-servers.ts";

/** Why tests that need a real server are skipped; empty when they are not. */
export const NO_RABBITMQ = process.env["CLUSTER"]
  ? missing(["epmd", "rabbitmq"])
      .map(({ name, apt = [] }) => `${name} is not installed: apt-get install ${apt.join(" ")}`)
      .join(", ")
  : "bun run test:cluster runs it";

/** Ten copies of a test side by side do not meet. */
const BASE_PORT = 19_000 + (process.pid % 10) * 100;
const NODE = "rabbitmq-1";

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
  const dataDir = mkdtempSync(join(tmpdir(), "bodega-rabbitmq-"));
  const servers = await startServers(["rabbitmq"], { dataDir, basePort: BASE_PORT });
  return {
    url: urlIn(servers),
    start: () => servers.start(NODE),
    kill: () => servers.kill(NODE),
    freeze: () => servers.pause(NODE),
    thaw: () => servers.resume(NODE),
    async end() {
      await servers.down();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function urlIn({ env }: Servers): string {
  const url = env["RABBITMQ_URL"];
  if (!url) throw new Error("expected RABBITMQ_URL of the servers started");
  return url;
}
