import { type Admin, Kafka, type KafkaConfig, type LogEntry, logLevel, Partitioners, type Producer } from "kafkajs";
import type { FactEnvelope } from "../api/envelope.ts";
import type { Log } from "../telemetry/log.ts";
import { backoffMs, SOON } from "../time/backoff.ts";
import { sleep, within } from "../time/wait.ts";
import { type Events, type FactHandler, named, type Subscription } from "./events.ts";
import { deliver, HEARTBEAT_MS } from "./kafka-delivery.ts";
import { inspectKafka } from "./kafka-inspect.ts";
import { createLanes } from "./kafka-lanes.ts";
import { toRecord } from "./kafka-message.ts";
import { lagOf, repeatsOf } from "./kafka-topics.ts";

export interface KafkaOptions {
  /** host:port; one is enough, several are tried. */
  brokers: string[];
  /** Left out: without TLS, and as nobody. */
  security?: Pick<KafkaConfig, "ssl" | "sasl">;
  log: Log;
  /** Real time in milliseconds. */
  nowMs: () => number;
  /** Before the names of topics and groups: tests share a Kafka. */
  prefix?: string;
  /** How long a `publish` tries. */
  publishMs?: number;
}

/** With one last call less than PostgreSQL lets a transaction idle (15 s): the relay publishes within one. */
const PUBLISH_MS = 7_000;
const SEND_MS = 7_000;
const CONNECT_MS = 1_000;
const REQUEST_MS = 3_000;
/** Around what the driver does in several steps. */
const STEPS_MS = 10_000;
/** A group waits for its members that still handle something. */
const JOIN_MS = 90_000;
const PARTITIONS = 3;
const COPIES_MAX = 3;
const LOOKS_MAX = 5;
/** So long a group may be away, or come later, and still hear everything. */
const RETENTION_MS = 30 * 86_400_000;
const SESSION_MS = 10_000;
const FETCH_MS = 200;
const SILENT = "Kafka gave no answer";
/** Within one call of ours; that call is then made again. */
const FEW = { retries: 1, initialRetryTime: 100, maxRetryTime: 1_000 };
const SEVERAL = { ...FEW, retries: 5 };
/** Said at every start: it is we who try again. */
const KNOWN_WARNING = "Limiting retries for the idempotent producer";

/** Facts through Kafka. Connects when first needed and again by itself. Topics that are missing are made. */
export function createKafkaEvents(options: KafkaOptions): Events {
  const { brokers, security, log, nowMs, prefix = "", publishMs = PUBLISH_MS } = options;
  const kafka = new Kafka({
    clientId: "bodega",
    brokers,
    ...security,
    connectionTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => pass(entry, log),
  });
  const producers = kept(log, () =>
    kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: FEW,
    }),
  );
  const admins = kept(log, () => kafka.admin({ retry: SEVERAL }));
  const partitionOf = Partitioners.DefaultPartitioner();
  const topicsKnown = new Map<string, Promise<TopicPartitions>>();
  const groups = new Map<string, Set<string>>();
  const subscriptions = new Set<Subscription>();

  async function ask<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    for (let failures = 0; ; ) {
      const admin = await admins.get();
      try {
        return await within(STEPS_MS, SILENT, () => work(admin));
      } catch (error) {
        failures += 1;
        const again = isNotKnownYet(error) && failures < LOOKS_MAX;
        if (!again) {
          await admins.drop(admin);
          throw error;
        }
        await sleep(backoffMs(failures, SOON));
      }
    }
  }

  /** The topic's partitions, once it is there. A failure is not remembered. */
  function topic(name: string): Promise<TopicPartitions> {
    const known = topicsKnown.get(name) ?? ask((admin) => makeTopic(admin, name, brokers.length));
    topicsKnown.set(name, known);
    known.catch(() => topicsKnown.delete(name));
    return known;
  }

  const lanes = createLanes<FactEnvelope>({
    async send(group) {
      const producer = await producers.get();
      const messages = group.messages.map((fact) => ({ ...toRecord(fact), partition: group.partition }));
      try {
        return await within(SEND_MS, SILENT, () =>
          producer.send({ topic: group.topic, acks: -1, timeout: REQUEST_MS, messages }),
        );
      } catch (error) {
        // Whatever else it says, such as that its count and the broker's differ, this producer cannot mend.
        if (!(error instanceof Error && error.name === "KafkaJSNumberOfRetriesExceeded"))
          await producers.drop(producer);
        throw error;
      }
    },
    // It would count on from before the group, and the broker take the next one for this one and acknowledge it unwritten.
    abandon: () => producers.drop(),
    sizeOf: ({ body, ...attributes }) => body.byteLength + JSON.stringify(attributes).length,
    log,
    nowMs,
    deadlineMs: publishMs,
  });

  return {
    async publish(messages) {
      const named = messages.map((message) => ({ ...message, topic: prefix + message.topic }));
      const names = [...new Set(named.map((message) => message.topic))];
      const found = await Promise.all(names.map((name) => topic(name)));
      const partitions = new Map(names.map((name, index) => [name, found[index] ?? []]));
      await lanes.publish(named, (message) => {
        const partitionMetadata = partitions.get(message.topic) ?? [];
        const place = { topic: message.topic, partitionMetadata, message: { key: message.key, value: null } };
        return { topic: message.topic, partition: partitionOf(place) };
      });
    },
    subscribe(group, topics, handler, types = () => []) {
      const groupId = `${prefix}bodega.${group}`;
      const names = topics.map((name) => prefix + name);
      groups.set(groupId, new Set([...(groups.get(groupId) ?? []), ...names]));
      const closing = new AbortController();
      const receive: FactHandler = async (batch) => {
        const wanted = named(batch, types());
        if (wanted.length > 0)
          await handler(wanted.map((fact) => ({ ...fact, topic: fact.topic.slice(prefix.length) })));
      };
      const running = follow(kafka, groupId, names, receive, {
        ready: () => Promise.all(names.map((name) => topic(name))),
        log: log.with({ group }),
        closing: closing.signal,
      });
      const subscription = {
        async close() {
          subscriptions.delete(subscription);
          closing.abort();
          await running;
        },
      };
      subscriptions.add(subscription);
      return subscription;
    },
    async undelivered() {
      const counts = Array.from(groups, async ([groupId, topics]) => {
        await Promise.all(Array.from(topics, (name) => topic(name)));
        return ask((admin) => lagOf(admin, groupId, [...topics]));
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    },
    async repeatMs() {
      const names = [...new Set([...groups.values()].flatMap((topics) => [...topics]))];
      if (names.length === 0) return new Map();
      await Promise.all(names.map((name) => topic(name)));
      return ask((admin) => repeatsOf(admin, names));
    },
    inspect: () => ask((admin) => inspectKafka(admin, groups)),
    async close() {
      await Promise.all([...subscriptions].map((subscription) => subscription.close()));
      await lanes.idle();
      await Promise.all([producers.drop(), admins.drop()]);
    },
  };
}

/** One client, connected when first needed. After a `drop` the next `get` makes another one. */
function kept<Client extends Producer | Admin>(log: Log, make: () => Client) {
  let current: { client: Client; connected: Promise<void> } | undefined;
  const leave = (client: Client) =>
    within(STEPS_MS, SILENT, () => client.disconnect()).catch((error: unknown) =>
      log.warn("kafka.disconnect", { error: String(error) }),
    );
  /** Without a client: whichever there is. */
  function drop(client = current?.client): Promise<void> {
    if (!current || current.client !== client) return Promise.resolve();
    current = undefined;
    return leave(client);
  }
  return {
    async get(): Promise<Client> {
      if (!current) {
        const client = make();
        current = { client, connected: within(STEPS_MS, SILENT, () => client.connect()) };
      }
      const { client, connected } = current;
      try {
        await connected;
        return client;
      } catch (error) {
        await drop(client);
        throw error;
      }
    },
    drop,
  };
}

type TopicPartitions = Parameters<ReturnType<typeof Partitioners.DefaultPartitioner>>[0]["partitionMetadata"];

/** A broker that is away for the moment must not mean one copy less for ever: then making the topic fails, and is tried again. */
async function makeTopic(admin: Admin, topic: string, brokersNamed: number): Promise<TopicPartitions> {
  if (!(await admin.listTopics()).includes(topic)) {
    const { brokers } = await admin.describeCluster();
    const copies = Math.min(Math.max(brokers.length, brokersNamed), COPIES_MAX);
    const settings = {
      "min.insync.replicas": Math.min(copies, 2),
      "unclean.leader.election.enable": false,
      "retention.ms": RETENTION_MS,
    };
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value: String(value) }));
    await admin.createTopics({
      topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: copies, configEntries }],
    });
  }
  const [found] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics;
  if (!found?.partitions.length) throw new Error(`expected partitions of topic ${topic}, found none`);
  return found.partitions;
}

/** Brokers hear of a new topic, or of a group they now coordinate, one after the other, and any of them may have been asked. */
function isNotKnownYet(error: unknown): boolean {
  const type = error instanceof Error && "type" in error ? String(error.type) : "";
  return /UNKNOWN_TOPIC|LEADER_NOT_AVAILABLE|GROUP_LOAD_IN_PROGRESS|COORDINATOR/.test(type);
}

interface Following {
  /** Resolves when all topics are there. */
  ready(): Promise<unknown>;
  log: Log;
  closing: AbortSignal;
}

/** A member of the group until `closing`. One that has crashed is replaced: the driver's own restart gives up on some errors. */
async function follow(kafka: Kafka, groupId: string, topics: string[], handler: FactHandler, following: Following) {
  const { ready, log, closing } = following;
  for (let failures = 0; !closing.aborted; ) {
    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: FETCH_MS,
      allowAutoTopicCreation: false,
      retry: { ...SEVERAL, restartOnFailure: async () => false },
    });
    const crash = Promise.withResolvers<Error | undefined>();
    consumer.on(consumer.events.CRASH, ({ payload }) => crash.resolve(payload.error));
    consumer.on(consumer.events.GROUP_JOIN, () => {
      failures = 0;
    });
    closing.addEventListener("abort", () => crash.resolve(undefined), { once: true });
    try {
      await ready();
      await within(STEPS_MS, SILENT, () => consumer.connect());
      await within(STEPS_MS, SILENT, () => consumer.subscribe({ topics, fromBeginning: true }));
      await within(JOIN_MS, SILENT, () =>
        consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          eachBatch: (hand) => deliver(hand, handler, log, closing),
        }),
      );
      const error = await crash.promise;
      if (error) throw error;
    } catch (error) {
      failures += 1;
      if (!closing.aborted) log.error("events.consumer_failed", error, { failures });
      await sleep(backoffMs(failures, SOON), closing);
    } finally {
      // Waits for the handler that runs, however long it does.
      await consumer.disconnect().catch((error: unknown) => log.warn("kafka.disconnect", { error: String(error) }));
    }
  }
}

function pass({ label, namespace, log: { message, broker, error } }: LogEntry, log: Log): void {
  if (message.startsWith(KNOWN_WARNING)) return;
  const details = Object.entries({ broker, error }).flatMap(([name, value]) => (value ? [[name, String(value)]] : []));
  log.warn("kafka", { label, namespace, message, ...Object.fromEntries(details) });
}
