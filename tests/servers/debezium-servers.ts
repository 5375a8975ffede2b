// PostgreSQL, Kafka and Kafka Connect with Debezium for one test file, and a service on them.
import { Kafka, logLevel } from "kafkajs";
import { letDebeziumTell } from "../../debezium/connectors.ts";
import type { Backlog } from "../../packages/database/backlog.ts";
import { openDatabase } from "../../packages/database/database.ts";
import { databaseOn, keyOf } from "../../packages/database/provision.ts";
import type { RelayKind } from "../../packages/database/relay.ts";
import { createKafkaEvents } from "../../packages/events/kafka.ts";
import type { App } from "../../packages/service/app.ts";
import { createLog, type Line } from "../../packages/telemetry/log.ts";
import { createMetrics } from "../../packages/telemetry/metrics.ts";
import { systemClock } from "../../packages/time/clock.ts";
import { systemRandom } from "../../packages/time/random.ts";
import type { KindName } from "../../scripts/servers/ports.ts";
import { type Servers, startServers } from "../../scripts/servers/start-servers.ts";
import { until } from "../../scripts/servers/until.ts";
import { loadServices } from "../../services/all.ts";
import { startPlatform } from "../../services/platform.ts";
import { absent, fetchMissing } from "../kit/servers/absent.ts";
import type { Lying } from "./debezium-compare.ts";

const KINDS: KindName[] = ["postgres", "kafka", "connect"];

/** Why tests that need Debezium are skipped; undefined when they are not. */
export const NO_DEBEZIUM = absent(KINDS);

/** Ten copies of a test side by side do not meet. */
const BASE_PORT = 27_200 + (process.pid % 10) * 100;
const CONNECT = "connect-1";
const DEBEZIUM_PASSWORD = "of a test, and it's quoted";

export interface DebeziumServers {
  servers: Servers;
  /** As PostgreSQL's superuser. */
  sql(statement: string): Promise<Record<string, unknown>[]>;
  /** A service as a process has it, on the database that all of its name share. */
  run(service: string, relay: RelayKind, topicPrefix?: string): Promise<Running>;
  /** As docs/operations.md says: a role, its rights, and debezium/outbox.json for this service. Resolves when it streams. */
  loadConnector(service: string): Promise<void>;
  /** By kill -9; `start` resolves when the connector of `service` streams again. */
  kill(): Promise<void>;
  start(service: string): Promise<void>;
  /** Collects whatever lies in a topic, from its beginning on, once there is one. */
  read(topic: string): Promise<Lying[]>;
  end(): Promise<void>;
}

export interface Running {
  app: App;
  lines: Line[];
  backlog(): Promise<Backlog>;
  close(): Promise<void>;
}

export async function startDebezium(): Promise<DebeziumServers> {
  await fetchMissing(KINDS);
  const servers = await startServers(KINDS, { basePort: BASE_PORT });
  const env = (name: string) => servers.env[name] ?? "";
  const databaseUrl = env("DATABASE_URL");
  const brokers = env("KAFKA_BROKERS").split(",");
  const superuser = openDatabase(databaseUrl, "test");
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const readers = [() => admin.disconnect()];

  async function streams(service: string): Promise<void> {
    await until(`Debezium streams from ${service}`, async () => {
      const [slot] = await superuser.sql<{ active: boolean }[]>`
        select active from pg_replication_slots where slot_name = ${`bodega_debezium_bodega_${service}`}`;
      return slot?.active ?? false;
    });
  }

  return {
    servers,
    sql: (statement) => superuser.sql.unsafe(statement),
    run: (service, relay, topicPrefix) => run(service, relay, { databaseUrl, brokers, topicPrefix }),
    async loadConnector(service) {
      const told = { DATABASE_URL: databaseUrl, DEBEZIUM_PASSWORD, KAFKA_CONNECT_URL: env("KAFKA_CONNECT_URL") };
      // Whoever says it again changes nothing.
      for (const _ of ["once", "again"]) await letDebeziumTell([service], told);
      await streams(service);
    },
    kill: () => servers.kill(CONNECT),
    async start(service) {
      await servers.start(CONNECT);
      await streams(service);
    },
    async read(topic) {
      const log: Lying[] = [];
      await until(`there is a topic ${topic}`, async () => (await admin.listTopics()).includes(topic));
      const consumer = kafka.consumer({ groupId: `test.${topic}`, maxWaitTimeInMs: 200 });
      await consumer.connect();
      readers.push(() => consumer.disconnect());
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({
        eachMessage: async ({ partition, message: { key, value, headers = {} } }) => {
          const all = Object.entries(headers).map(([name, told]) => [name, [told ?? []].flat().map(bytes)]);
          const nothing = Buffer.alloc(0);
          log.push({ partition, key: key ?? nothing, value: value ?? nothing, headers: Object.fromEntries(all) });
        },
      });
      return log;
    },
    async end() {
      await Promise.all(readers.map((close) => close()));
      await superuser.close();
      await servers.down();
    },
  };
}

interface Where {
  databaseUrl: string;
  brokers: string[];
  topicPrefix: string | undefined;
}

async function run(service: string, relay: RelayKind, { databaseUrl, brokers, topicPrefix }: Where): Promise<Running> {
  const lines: Line[] = [];
  const name = `bodega_${service}`;
  const log = createLog((line) => lines.push(line));
  const clock = systemClock();
  const prefix = topicPrefix === undefined ? {} : { prefix: topicPrefix };
  const platform = await startPlatform({
    services: await loadServices([service], {}),
    databaseUrl,
    // As it is: to make it ready for "poll" would drop the slot whose facts are compared.
    ...(relay === "poll" && { databaseUrls: { [service]: databaseOn(databaseUrl, keyOf("test", name), name) } }),
    databasePrefix: "bodega",
    secret: "test",
    relay,
    clock,
    securityClock: clock,
    random: systemRandom(clock),
    log,
    metrics: createMetrics(),
    events: createKafkaEvents({ brokers, log, nowMs: () => performance.now(), ...prefix }),
  });
  const [running] = platform.services;
  if (!running) throw new Error(`${service} does not run`);
  return { app: running.app, lines, backlog: running.backlog, close: platform.close };
}

function bytes(value: string | Buffer): Buffer {
  return Buffer.from(value);
}
