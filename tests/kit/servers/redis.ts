// Real Redis servers of a test: on free ports, in a folder of their own, gone with the test's process.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../scripts/copy/ports.ts";
import { eventually } from "../eventually.ts";

const SERVER = Bun.which("redis-server");
const CLI = Bun.which("redis-cli");

/** Why tests that need a real server are skipped; undefined when they are not. */
export const NO_REDIS =
  SERVER && CLI ? undefined : `${SERVER ? "redis-cli" : "redis-server"} is not installed: apt-get install redis-server`;

export interface RedisServer {
  port: number;
  /** What redis-cli prints. */
  ask(...command: string[]): Promise<string>;
  start(): Promise<void>;
  /** As by kill -9: no farewell, nothing written. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Killed, and its folder removed. */
  end(): Promise<void>;
}

export async function startRedis(settings: string[] = []): Promise<RedisServer & { url: string }> {
  const server = createRedis(await freePort(), settings);
  await server.start();
  return { ...server, url: `redis://127.0.0.1:${server.port}` };
}

export interface RedisCluster {
  url: string;
  servers: RedisServer[];
  /** The server that has the key. */
  masterOf(key: string): Promise<RedisServer>;
  end(): Promise<void>;
}

/** Three masters with a replica each; returns when every replica could take over. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const servers: RedisServer[] = [];
  for (let i = 0; i < 6; i++) {
    const settings = [
      "cluster-enabled yes",
      "cluster-node-timeout 1000",
      `cluster-port ${await freePort()}`,
      // A replica that never had its master's data is never promoted.
      "repl-diskless-sync-delay 0",
    ];
    const server = createRedis(await freePort(), settings);
    servers.push(server);
    await server.start();
  }
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  const [first] = servers;
  if (!first) throw new Error("no servers");
  await first.ask("--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes");
  const ready = async (server: RedisServer) => {
    const replication = await server.ask("info", "replication");
    const whole = (await server.ask("cluster", "info")).includes("cluster_state:ok");
    return whole && /master_link_status:up|slave0:.*state=online/.test(replication);
  };
  await eventually(async () => (await Promise.all(servers.map(ready))).every(Boolean));
  return {
    url: addresses.map((address) => `redis://${address}`).join(),
    servers,
    async masterOf(key) {
      const moved = /MOVED \d+ \S+:(\d+)/.exec(await first.ask("get", key));
      const port = moved ? Number(moved[1]) : first.port;
      const master = servers.find((server) => server.port === port);
      if (!master) throw new Error(`no server of ours has ${key}, but port ${port}`);
      return master;
    },
    async end() {
      await Promise.all(servers.map((server) => server.end()));
    },
  };
}

function createRedis(port: number, settings: string[]): RedisServer {
  const folder = mkdtempSync(join(tmpdir(), "bodega-redis-"));
  const config = ["bind 127.0.0.1", `port ${port}`, `dir ${folder}`, 'save ""', "appendonly no", ...settings];
  let running: Bun.Subprocess | undefined;

  async function ask(...command: string[]) {
    return Bun.spawn([CLI ?? "", "-p", String(port), ...command], { stderr: "inherit" }).stdout.text();
  }

  async function start() {
    const child = Bun.spawn([SERVER ?? "", "-"], {
      stdin: new Blob([config.join("\n")]),
      stdout: Bun.file(join(folder, "redis.log")),
      stderr: "inherit",
    });
    running = child;
    endWithThisProcess(child.pid, folder);
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(await Bun.file(join(folder, "redis.log")).text());
      return /PONG|NOAUTH/.test(await quietly(port, "ping"));
    });
  }

  async function kill() {
    running?.kill("SIGKILL");
    await running?.exited;
  }

  return {
    port,
    ask,
    start,
    kill,
    freeze: () => running?.kill("SIGSTOP"),
    thaw: () => running?.kill("SIGCONT"),
    async end() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function quietly(port: number, ...command: string[]): Promise<string> {
  return Bun.spawn([CLI ?? "", "-p", String(port), ...command], { stderr: "ignore" }).stdout.text();
}

/** `bun test` runs no exit handlers, and a killed one could not: a small shell waits for the end of either process. */
function endWithThisProcess(pid: number, folder: string) {
  const script = `while kill -0 ${pid} 2>/dev/null; do kill -0 ${process.pid} 2>/dev/null || { kill -KILL ${pid}; rm -rf "$0"; }; sleep 1; done`;
  Bun.spawn(["sh", "-c", script, folder], {
    detached: true,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  }).unref();
}
