import type { SecureContextOptions } from "node:tls";
import type { Database } from "../packages/database/database.ts";
import { migrate } from "../packages/database/migrate.ts";
import { createEmbeddedEvents } from "../packages/events/embedded.ts";
import type { Events } from "../packages/events/events.ts";
import { createKafkaEvents } from "../packages/events/kafka.ts";
import type { KafkaSettings } from "../packages/events/kafka-brokers.ts";
import { createEmbeddedJobs } from "../packages/jobs/embedded.ts";
import type { Jobs } from "../packages/jobs/jobs.ts";
import { createRabbitmqJobs } from "../packages/jobs/rabbitmq.ts";
import type { RabbitSettings } from "../packages/jobs/rabbitmq-url.ts";
import { createEmbeddedLocks } from "../packages/locks/embedded.ts";
import type { Locks } from "../packages/locks/locks.ts";
import { createRedisLocks } from "../packages/locks/redis.ts";
import type { RedisAddress } from "../packages/locks/redis-url.ts";
import type { Log } from "../packages/telemetry/log.ts";
import type { Clock } from "../packages/time/clock.ts";
import type { Random } from "../packages/time/random.ts";
import { BROKER } from "./all.ts";

/** What carries facts and jobs from service to service, and holds the locks of all processes. */
export interface Carriers {
  events: Events;
  jobs: Jobs;
  locks: Locks;
}

/** The servers that carry in place of the embedded adapters. */
export interface Servers {
  kafka: KafkaSettings | undefined;
  rabbitmq: RabbitSettings | undefined;
  redis: RedisAddress | undefined;
  tls: SecureContextOptions;
}

const nowMs = () => performance.now();

/** The real adapters of those servers that are named. */
export async function connectCarriers(servers: Servers, log: Log, random: Random): Promise<Partial<Carriers>> {
  const { kafka, rabbitmq, tls } = servers;
  const brokerLog = log.with({ service: BROKER });
  return {
    ...(kafka && { events: createKafkaEvents({ ...secured(kafka, tls), log: brokerLog, nowMs }) }),
    ...(rabbitmq && { jobs: await createRabbitmqJobs({ ...rabbitmq, tls, log: brokerLog, nowMs }) }),
    locks: openLocks(servers, log, random),
  };
}

function secured({ brokers, sasl, tls: on }: KafkaSettings, tls: SecureContextOptions) {
  return { brokers, security: { ...(on && { ssl: tls }), ...(sasl && { sasl }) } };
}

export function openLocks({ redis: address, tls }: Pick<Servers, "redis" | "tls">, log: Log, random: Random): Locks {
  return address ? createRedisLocks({ address, tls, log, nowMs, newToken: random.id }) : embeddedLocks(random);
}

/** Which adapter is behind each port, for a log line. */
export function nameCarriers({ kafka, rabbitmq, redis }: Servers): Record<keyof Carriers, string> {
  return {
    events: kafka ? "kafka" : "embedded",
    jobs: rabbitmq ? "rabbitmq" : "embedded",
    locks: redis ? "redis" : "embedded",
  };
}

export function needBroker({ events, jobs }: Partial<Carriers>): boolean {
  return !events || !jobs;
}

export interface Embedding extends Partial<Carriers> {
  log: Log;
  clock: Clock;
  random: Random;
  pollMs?: number;
}

/** Embeds what is not given. `broker` is there where `needBroker` says so. */
export async function embedMissing(options: Embedding, broker: Database | undefined): Promise<Carriers> {
  const { events, jobs, locks, log, clock, random, pollMs } = options;
  const brokerLog = log.with({ service: BROKER });
  if (broker) await migrate(broker, new URL("../packages/events/migrations/", import.meta.url));
  const database = () => {
    if (!broker) throw new Error("expected a database for the embedded broker, found none");
    return broker;
  };
  return {
    events: events ?? createEmbeddedEvents(database(), brokerLog, clock.now, pollMs),
    jobs: jobs ?? createEmbeddedJobs(database(), brokerLog, pollMs),
    locks: locks ?? embeddedLocks(random),
  };
}

function embeddedLocks(random: Random): Locks {
  return createEmbeddedLocks(nowMs, random.id);
}
