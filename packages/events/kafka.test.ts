import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { randomUUID } from "node:crypto";
import { Kafka, logLevel } from "kafkajs";
import { brokenPromises } from "../../tests/kit/claims.ts";
import { eventually } from "../../tests/kit/eventually.ts";
import { NO_KAFKA, startKafka, type TestKafka } from "../../tests/kit/servers/kafka.ts";
import { testUnless } from "../../tests/kit/test-unless.ts";
import type { FactEnvelope } from "../api/envelope.ts";
import { createLog, type Line } from "../telemetry/log.ts";
import { eventsContract } from "./contract.ts";
import { createKafkaEvents } from "./kafka.ts";

setDefaultTimeout(240_000);

let kafka: TestKafka;
beforeAll(async () => {
  if (!NO_KAFKA) kafka = await startKafka();
});
afterAll(() => kafka?.end());

const lines: Line[] = [];
const log = createLog((line) => lines.push(line));

function open(prefix: string, publishMs?: number) {
  const { brokers } = kafka;
  return createKafkaEvents({
    brokers,
    log,
    nowMs: () => performance.now(),
    prefix,
    ...(publishMs !== undefined && { publishMs }),
  });
}

const withKafka = testUnless(NO_KAFKA);

/** A Kafka that just began, or lost a broker, answers late. */
async function soon(condition: () => boolean | Promise<boolean>): Promise<void> {
  try {
    await eventually(condition);
  } catch {
    await eventually(condition);
  }
}

eventsContract(
  "kafka",
  async () => {
    const prefix = `t${randomUUID()}.`;
    return { events: open(prefix), reopen: async () => open(prefix) };
  },
  NO_KAFKA,
);

withKafka("topics are made with three partitions, and three copies of which two must be written", async () => {
  const prefix = `t${randomUUID()}.`;
  const events = open(prefix);
  await events.publish([factOf("k", 0)]);
  await events.close();
  const admin = await theAdmin();
  const [topic] = (await admin.fetchTopicMetadata({ topics: [`${prefix}order`] })).topics;
  expect(topic?.partitions.map(({ replicas }) => replicas.length)).toEqual([3, 3, 3]);
  const resources = [{ type: 2, name: `${prefix}order`, configNames: ["min.insync.replicas"] }];
  const { resources: told } = await admin.describeConfigs({ resources, includeSynonyms: false });
  expect(told[0]?.configEntries[0]?.configValue).toBe("2");
  await admin.disconnect();
});

withKafka("a message of a stranger is handed on with an id of its place", async () => {
  const prefix = `t${randomUUID()}.`;
  const events = open(prefix);
  const got: FactEnvelope[] = [];
  events.subscribe("a", ["order"], async (batch) => {
    got.push(...batch);
  });
  await events.publish([factOf("k", 0)]);
  const producer = stranger().producer();
  await producer.connect();
  await producer.send({ topic: `${prefix}order`, messages: [{ key: "k", value: "no fact" }] });
  await producer.disconnect();
  await soon(() => got.length >= 2);
  expect(got[1]).toMatchObject({ type: "", key: "k", id: expect.stringMatching(/^[\da-f-]{36}$/) });
  await events.close();
});

withKafka("leaders killed under load lose no acknowledged fact, and no key its order", async () => {
  const prefix = `t${randomUUID()}.`;
  const events = open(prefix);
  const acknowledged: FactEnvelope[] = [];
  const admin = await theAdmin();
  const partitions = async () => {
    const [topic] = (await admin.fetchTopicMetadata({ topics: [`${prefix}order`] })).topics;
    return topic?.partitions ?? [];
  };
  await events.publish([factOf("first", 0)]);

  /** As a relay does it: one batch after the other, again when it was refused. Each is over ten keys, and so over all partitions. */
  const relay = async (name: string, enough: () => boolean) => {
    for (let number = 0; !enough(); number++) {
      const batch = Array.from({ length: 10 }, (_, index) => factOf(`${name}${index}`, number));
      for (let published = false; !published; ) {
        try {
          await events.publish(batch);
          published = true;
        } catch (error) {
          lines.push({ time: "", level: "warn", event: "test.refused", error: String(error) });
        }
      }
      acknowledged.push(...batch);
    }
  };
  const killed: number[] = [];
  for (const round of [1, 2]) {
    const before = acknowledged.length;
    let wanted = Number.POSITIVE_INFINITY;
    const relays = Promise.all(["a", "b", "c"].map((name) => relay(name, () => acknowledged.length >= wanted)));
    await soon(() => acknowledged.length >= before + 300);
    const leader = (await partitions())[round]?.leader ?? 0;
    killed.push(leader);
    await kafka.servers.kill(`kafka-${leader}`);
    wanted = acknowledged.length + 1_000;
    await relays;
    expect((await partitions()).map((partition) => partition.leader)).not.toContain(leader);
    await kafka.servers.start(`kafka-${leader}`);
    await soon(async () => (await partitions()).every(({ isr }) => isr.length === 3));
  }
  await admin.disconnect();

  const read: FactEnvelope[] = [];
  events.subscribe("reader", ["order"], async (batch) => {
    read.push(...batch);
  });
  await soon(async () => read.length > acknowledged.length && (await events.undelivered()) === 0);
  await events.close();
  const refused = lines.filter(({ event }) => event === "test.refused").length;
  const again = lines.filter(({ event }) => event === "events.send_failed").length;
  process.stderr.write(
    `killed ${killed}; acknowledged ${acknowledged.length}, read ${read.length}; ${again} calls again, ${refused} refused\n`,
  );
  expect(brokenPromises(acknowledged, read)).toEqual([]);
});

withKafka("while all brokers are down publish refuses; what was refused goes out later, in order", async () => {
  const events = open(`t${randomUUID()}.`, 1_000);
  const published = (batch: FactEnvelope[]) =>
    events.publish(batch).then(
      () => true,
      () => false,
    );
  const sent = Array.from({ length: 30 }, (_, index) => factOf(`key ${index % 10}`, index));
  const got: FactEnvelope[] = [];
  events.subscribe("a", ["order"], async (batch) => {
    got.push(...batch);
  });
  await events.publish(sent.slice(0, 10));
  await soon(() => got.length >= 10);
  const { names, kill, start } = kafka.servers;
  await Promise.all(names.map(kill));
  expect(await published(sent.slice(10, 20))).toBe(false);
  await Promise.all(names.map(start));
  await soon(() => published(sent.slice(10, 20)));
  await soon(() => published(sent.slice(20)));
  await soon(() => new Set(got.map(({ id }) => id)).size >= 30);
  expect(brokenPromises(sent, got)).toEqual([]);
  await events.close();
});

let facts = 0;

function factOf(key: string, index: number): FactEnvelope {
  facts += 1;
  return {
    id: `00000000-0000-7000-8000-${String(facts).padStart(12, "0")}`,
    type: "order.created",
    topic: "order",
    key,
    source: "bodega/test",
    time: new Date("2026-01-05T08:00:00Z"),
    body: Buffer.from(String(index)),
    traceparent: "",
    correlationId: "",
  };
}

function stranger(): Kafka {
  return new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING });
}

async function theAdmin() {
  const admin = stranger().admin();
  await admin.connect();
  return admin;
}
