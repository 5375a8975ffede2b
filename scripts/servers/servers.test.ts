import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { testUnless } from "../../tests/kit/test-unless.ts";
import { config as haproxyConfig } from "./haproxy.ts";
import { advice, aptScript, notInstalled } from "./install.ts";
import { config as kafkaConfig } from "./kafka.ts";
import { environmentOf, KINDS, kindOf, serversFor } from "./kinds.ts";
import { pom } from "./maven.ts";
import { BASE_PORT, type KindName, toolPorts } from "./ports.ts";
import { replicaSettings } from "./postgres.ts";
import { end, isAlive, isPaused, kill, launch, send, startOf } from "./processes.ts";
import { config as rabbitmqConfig } from "./rabbitmq.ts";
import { config as redisConfig } from "./redis.ts";
import type { Identity } from "./server.ts";
import { allKept, keep, nameOf, type Server } from "./server.ts";
import { startServers } from "./start-servers.ts";

setDefaultTimeout(30_000);
const PRIVATE_POSTGRES_PORTS_FROM = 20_000;
/** Ten copies of this test side by side do not meet. */
const TEST_PORTS = 18_000 + (process.pid % 10) * 100;

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "bodega-servers-"));
  undo.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function oneOf(kind: KindName, number: number, count: number): Server {
  return { kind, number, count, basePort: BASE_PORT, root: "/data/servers" };
}

describe("ports", () => {
  test("no two servers share one, nor meet the private PostgreSQL's", () => {
    const servers = serversFor(Object.keys(KINDS), 3, BASE_PORT, "/data/servers");
    const ports = servers.flatMap((server) => Object.values(kindOf(server.kind).ports(server)));
    expect(new Set(ports).size).toBe(ports.length);
    const { first, last } = toolPorts(BASE_PORT);
    expect(ports.filter((port) => port <= BASE_PORT || (port >= first && port <= last))).toEqual([]);
    expect(Math.max(...ports, last)).toBeLessThan(PRIVATE_POSTGRES_PORTS_FROM);
  });

  test("another base moves them all by the same", () => {
    const portsFrom = (base: number) =>
      serversFor([], 3, base, "/").flatMap((server) => Object.values(kindOf(server.kind).ports(server)));
    expect(portsFrom(18_000)).toEqual(portsFrom(17_000).map((port) => port + 1_000));
  });
});

describe("what a wish means", () => {
  const names = (words: string[], size: 1 | 3) => serversFor(words, size, BASE_PORT, "/").map(nameOf);

  test("size 1 is one of each, size 3 a cluster of each", () => {
    expect(names(["redis", "kafka"], 1)).toEqual(["redis-1", "kafka-1"]);
    expect(names(["redis"], 3)).toHaveLength(6);
    expect(names(["rabbitmq", "postgres"], 3).filter((name) => name !== "epmd-1")).toHaveLength(6);
  });

  test("a kind brings those it stands on, a name brings only itself", () => {
    expect(names(["haproxy"], 1)).toEqual(["epmd-1", "rabbitmq-1", "haproxy-1"]);
    expect(names(["kafka-2"], 3)).toEqual(["kafka-2"]);
  });

  test("nothing means all but what is only for those who name it", () => {
    expect(names([], 1)).not.toContain("connect-1");
    expect(names(["connect"], 1)).toEqual(["kafka-1", "connect-1"]);
  });

  test("an unknown word is refused with what is known", () => {
    expect(() => names(["reddis"], 1)).toThrow(/expected .*redis.* found reddis/);
    expect(() => names(["redis-2"], 1)).toThrow("found redis-2");
  });

  test("Bodega reaches RabbitMQ through HAProxy when there is one", () => {
    expect(environmentOf(serversFor(["rabbitmq"], 3, BASE_PORT, "/"))).toEqual({
      RABBITMQ_URL:
        "amqp://guest:guest@127.0.0.1:17031,amqp://guest:guest@127.0.0.1:17032,amqp://guest:guest@127.0.0.1:17033",
    });
    expect(environmentOf(serversFor(["haproxy", "mailhog"], 3, BASE_PORT, "/"))).toEqual({
      RABBITMQ_URL: "amqp://guest:guest@127.0.0.1:17071",
      SMTP_URL: "smtp://127.0.0.1:17073",
    });
  });
});

describe("configurations", () => {
  test("three Kafka brokers vote together and keep two copies before they acknowledge", () => {
    const text = kafkaConfig(oneOf("kafka", 2, 3));
    expect(text).toContain("node.id=2\n");
    expect(text).toContain("controller.quorum.voters=1@127.0.0.1:17061,2@127.0.0.1:17062,3@127.0.0.1:17063\n");
    expect(text).toContain("listeners=PLAINTEXT://127.0.0.1:17052,CONTROLLER://127.0.0.1:17062\n");
    expect(text).toContain("default.replication.factor=3\nmin.insync.replicas=2\n");
    expect(text).toContain("log.dirs=/data/servers/kafka-2/data\n");
  });

  test("one Kafka broker asks for no copies it cannot have", () => {
    const text = kafkaConfig(oneOf("kafka", 1, 1));
    expect(text).toContain("controller.quorum.voters=1@127.0.0.1:17061\n");
    const copies = [...text.matchAll(/(?:factor|min\.isr|insync\.replicas)=(\d)/g)].map(([, copy]) => copy);
    expect(new Set(copies)).toEqual(new Set(["1"]));
    expect(copies).toHaveLength(7);
  });

  test("Redis is a cluster node only when there are several", () => {
    expect(redisConfig(oneOf("redis", 1, 1))).not.toContain("cluster");
    expect(redisConfig(oneOf("redis", 4, 6))).toContain("port 17014\nbind 127.0.0.1\n");
    expect(redisConfig(oneOf("redis", 4, 6))).toContain("cluster-enabled yes");
    expect(redisConfig(oneOf("redis", 4, 6))).toContain("cluster-port 17024");
  });

  test("RabbitMQ's nodes know each other, HAProxy knows them all", () => {
    const peers = rabbitmqConfig(oneOf("rabbitmq", 2, 3)).match(/nodes\.\d = rabbitmq-\d@localhost/g);
    expect(peers).toHaveLength(3);
    expect(rabbitmqConfig(oneOf("rabbitmq", 2, 3))).toContain("listeners.tcp.default = 127.0.0.1:17032\n");
    expect(
      haproxyConfig(oneOf("haproxy", 1, 1), 3).match(/server rabbitmq-\d 127\.0\.0\.1:1703\d check/g),
    ).toHaveLength(3);
  });

  test("a replica follows the primary under its own name and waits for nobody itself", () => {
    const text = replicaSettings(oneOf("postgres", 3, 3), "secret");
    expect(text).toContain("host=127.0.0.1 port=17001 user=postgres password=secret application_name=postgres_3'");
    expect(text).toContain("primary_slot_name = 'postgres_3'");
    expect(text).toContain("synchronous_standby_names = ''");
  });

  test("Maven is told exact versions", () => {
    expect(pom(["org.apache.kafka:kafka_2.13:4.3.1"])).toContain(
      "<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version>",
    );
  });
});

describe("what is missing", () => {
  const need = (name: string, apt: string[]) => ({ name, apt, found: () => false });

  test("is named together with the command that installs it", () => {
    const text = advice([need("redis-server", ["redis-server"]), need("redis-cli", ["redis-tools"])]);
    expect(text).toContain("Missing: redis-server, redis-cli.");
    expect(text).toContain("apt-get install --no-install-recommends redis-server redis-tools");
    expect(text).toContain("bun run servers up --install");
  });

  test("is installed without any daemon being started", () => {
    const script = aptScript(["redis-server"]);
    expect(script.indexOf("exit 101")).toBeGreaterThan(0);
    expect(script.indexOf("exit 101")).toBeLessThan(script.indexOf(" install "));
    expect(script).toContain("-o DPkg::Lock::Timeout=180");
    expect(Bun.spawnSync(["sh", "-n", "-c", script]).exitCode).toBe(0);
  });
});

describe("processes", () => {
  function sleeper(script = "exec sleep 60"): Identity {
    const path = folder();
    const identity = launch({ argv: ["sh", "-c", script] }, path, join(path, "log"));
    undo.push(() => kill(identity));
    return identity;
  }

  test("one whose pid is ours but whose start is not is never signalled", async () => {
    const stranger = sleeper();
    const stale = { pid: stranger.pid, started: "the start of the one that had this pid before" };
    expect(isAlive(stale)).toBe(false);
    expect(send(stale, "SIGKILL")).toBe(false);
    expect(await end(stale)).toBe(false);
    await kill(stale);
    expect(isAlive(stranger)).toBe(true);
  });

  test("a down with a stale record leaves the stranger alone", async () => {
    const stranger = sleeper();
    const dataDir = folder();
    const server = { ...oneOf("redis", 1, 1), root: join(dataDir, "servers") };
    await Bun.write(join(server.root, "redis-1", "server.log"), "");
    keep(server, { pid: stranger.pid, started: "before" });
    const down = Bun.spawn([process.execPath, join(import.meta.dir, "../servers.ts"), "down"], {
      env: { ...process.env, DATA_DIR: dataDir },
      stdio: ["ignore", "ignore", "ignore"],
    });
    expect(await down.exited).toBe(0);
    expect(isAlive(stranger)).toBe(true);
  });

  test("ours is ended in good order", async () => {
    const ours = sleeper();
    expect(startOf(ours.pid)).toBe(ours.started);
    expect(await end(ours)).toBe(false);
    expect(isAlive(ours)).toBe(false);
    expect(send(ours, "SIGTERM")).toBe(false);
  });

  test("a paused one is seen as such and can still be ended", async () => {
    const ours = sleeper();
    expect(send(ours, "SIGSTOP")).toBe(true);
    while (!isPaused(ours)) await Bun.sleep(1);
    expect(await end(ours)).toBe(false);
    expect(isAlive(ours)).toBe(false);
  });

  test("init is never signalled, whatever a record says", () => {
    expect(send({ pid: 1, started: startOf(1) ?? "" }, "SIGCONT")).toBe(false);
    expect(send({ pid: -1, started: "" }, "SIGCONT")).toBe(false);
  });
});

describe("a real Redis", () => {
  const withRedis = testUnless(notInstalled(["redis"]));

  async function redisIn(dataDir: string) {
    const servers = await startServers(["redis"], { size: 1, dataDir, basePort: TEST_PORTS });
    undo.push(servers.down);
    return servers;
  }

  async function refusalOf(call: Promise<unknown>): Promise<string> {
    return call.then(
      () => "went well",
      (error: Error) => error.message,
    );
  }

  async function ask<T>(url: string, question: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = new RedisClient(url, { autoReconnect: false });
    try {
      return await question(client);
    } finally {
      client.close();
    }
  }

  withRedis("is ready when it is said to be, and keeps its data when killed and started again", async () => {
    const servers = await redisIn(folder());
    const url = servers.env["REDIS_URL"] ?? "";
    await ask(url, (client) => client.set("order", "placed"));
    await servers.kill("redis-1");
    expect(await refusalOf(ask(url, (client) => client.get("order")))).toMatch(/connect|closed/i);
    await servers.start("redis-1");
    expect(await ask(url, (client) => client.get("order"))).toBe("placed");
  });

  withRedis("is left alone by a second up, and by the down of the second", async () => {
    const dataDir = folder();
    await redisIn(dataDir);
    const pidBefore = allKept(join(dataDir, "servers"))[0]?.process.pid;
    const second = await redisIn(dataDir);
    await second.down();
    const [now] = allKept(join(dataDir, "servers"));
    expect(now?.process.pid).toBe(pidBefore ?? 0);
    expect(now && isAlive(now.process)).toBe(true);
  });

  withRedis("is gone after down, and its log stays", async () => {
    const dataDir = folder();
    const servers = await redisIn(dataDir);
    await servers.down();
    const [last] = allKept(join(dataDir, "servers"));
    expect(last && isAlive(last.process)).toBe(false);
    expect(existsSync(join(dataDir, "servers", "redis-1", "server.log"))).toBe(true);
  });

  withRedis("started without a folder has one until it ends", async () => {
    const [temporary, before] = [folder(), process.env["TMPDIR"]];
    process.env["TMPDIR"] = temporary;
    const servers = await startServers(["redis"], { basePort: TEST_PORTS });
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    expect(readdirSync(temporary)).toHaveLength(1);
    await servers.down();
    expect(readdirSync(temporary)).toEqual([]);
  });

  withRedis("of another size is refused its data", async () => {
    const dataDir = folder();
    const servers = await redisIn(dataDir);
    await servers.down();
    const bigger = startServers(["redis"], { size: 3, dataDir, basePort: TEST_PORTS });
    expect(await refusalOf(bigger)).toMatch(/redis-1 has data as one of 1 .* one of 6 .*down --clean/);
  });

  withRedis("says whose port it wants when another program has it", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(TEST_PORTS + 11, "127.0.0.1", resolve));
    undo.push(() => other.close());
    expect(await refusalOf(redisIn(folder()))).toContain(`redis-1 wants port ${TEST_PORTS + 11} (client)`);
  });
});
