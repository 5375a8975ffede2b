// STORIES=servers: the stories of a test process run on a real Kafka, RabbitMQ and Redis instead of the embedded adapters. The servers are
// started once, with the first story, and end with the process.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKafkaEvents } from "../../../packages/events/kafka.ts";
import { createRedisLocks } from "../../../packages/locks/redis.ts";
import { readRedisUrl } from "../../../packages/locks/redis-url.ts";
import type { Log } from "../../../packages/telemetry/log.ts";
import { BASE_PORT, type KindName } from "../../../scripts/servers/ports.ts";
import { startServers } from "../../../scripts/servers/start-servers.ts";
import { ROOT } from "../../../scripts/tree.ts";
import { SERVICE_NAMES } from "../../../services/all.ts";
import type { PlatformOptions } from "../../../services/platform.ts";
import { afterThisProcess } from "../after-this-process.ts";
import { fetchMissing } from "./absent.ts";
import { deleteQueue, openJobs } from "./rabbitmq-jobs.ts";

export const ON_SERVERS = process.env["STORIES"] === "servers";

let started: Promise<Record<string, string>> | undefined;

/** Empty unless STORIES=servers. `prefix` keeps the topics of one system apart from another's; queues are made anew for each. */
export async function realPorts(prefix: string, log: Log): Promise<Pick<PlatformOptions, "events" | "jobs" | "locks">> {
  if (!ON_SERVERS) return {};
  started ??= start();
  const env = await started;
  const nowMs = () => performance.now();
  const rabbitmq = env["RABBITMQ_URL"] ?? "";
  for (const name of SERVICE_NAMES) await deleteQueue(rabbitmq, name);
  return {
    events: createKafkaEvents({ brokers: (env["KAFKA_BROKERS"] ?? "").split(","), log, nowMs, prefix: `${prefix}.` }),
    jobs: (await openJobs(rabbitmq)).jobs,
    locks: createRedisLocks({
      address: readRedisUrl(env["REDIS_URL"] ?? ""),
      log,
      nowMs,
      newToken: crypto.randomUUID.bind(crypto),
    }),
  };
}

/** The same for a whole copy of the program: its variables. */
export async function serverVariables(): Promise<Record<string, string>> {
  if (!ON_SERVERS) return {};
  started ??= start();
  const env = await started;
  for (const name of SERVICE_NAMES) await deleteQueue(env["RABBITMQ_URL"] ?? "", name);
  return env;
}

const KINDS: KindName[] = ["kafka", "rabbitmq", "redis"];

async function start(): Promise<Record<string, string>> {
  await fetchMissing(KINDS);
  const dataDir = mkdtempSync(join(tmpdir(), "bodega-stories-"));
  const { env } = await startServers(KINDS, { size: 1, dataDir, basePort: BASE_PORT + 600 });
  const words = [dataDir, process.execPath, join(ROOT, "scripts/servers.ts")];
  afterThisProcess('DATA_DIR="$0" "$1" "$2" down; rm -rf "$0"', words);
  return env;
}
