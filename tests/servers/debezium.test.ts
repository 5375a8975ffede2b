// Debezium as the third way out of the outbox, on real servers: it says what our relay says, and loses nothing when it dies.
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { randomUUID } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { StockChanged, StockReserved } from "../../packages/api/facts.ts";
import { StockChangedSchema } from "../../packages/api/gen/bodega/stock/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import { contextFrom, withContext } from "../../packages/telemetry/context.ts";
import { until } from "../../scripts/servers/until.ts";
import type { Claim } from "../kit/claims.ts";
import { testUnless } from "../kit/test-unless.ts";
import { countDeliveries, differences, type Lying } from "./debezium-compare.ts";
import { type DebeziumServers, NO_DEBEZIUM, type Running, startDebezium } from "./debezium-servers.ts";

setDefaultTimeout(300_000);

const SERVICE = "stock";
const TOPIC = "stock";
const AGGREGATES = 30;
const FACTS = 300;
const WRITERS = 5;
const MADE = "relay.slot_made";

let debezium: DebeziumServers;
let service: Running;
/** What lies in the topic that Debezium writes. */
let log: Lying[];
const loads: { stop(): Promise<void> }[] = [];

const withDebezium = testUnless(NO_DEBEZIUM);

beforeAll(async () => {
  if (!NO_DEBEZIUM) debezium = await startDebezium();
});
afterAll(async () => {
  await Promise.all(loads.map((load) => load.stop()));
  await service?.close();
  await debezium?.end();
});

withDebezium("the same facts are the same messages through Debezium as through the relay, byte for byte", async () => {
  // The slot has what is committed from now on, whoever publishes it now.
  const first = await debezium.run(SERVICE, "debezium");
  await until("the slot is made", async () => first.lines.some(({ event }) => event === MADE));
  await first.close();

  const relayed = await debezium.run(SERVICE, "poll", "relay.");
  const keys = Array.from({ length: AGGREGATES }, () => randomUUID());
  for (let index = 0; index < FACTS; index++) await tellSomething(relayed.app, keys[index % AGGREGATES] ?? "", index);
  await until("the relay has published them", async () => (await relayed.backlog()).outbox === 0n);
  await relayed.close();

  service = await debezium.run(SERVICE, "debezium");
  await debezium.loadConnector(SERVICE);
  const throughRelay = await debezium.read(`relay.${TOPIC}`);
  await until("the relay's messages are read", async () => throughRelay.length >= FACTS);
  log = await debezium.read(TOPIC);
  await until("Debezium's messages are read", async () => log.length >= FACTS);
  expect(differences(throughRelay, log)).toEqual([]);
  expect([throughRelay.length, log.length]).toEqual([FACTS, FACTS]);
  say({
    facts: FACTS,
    headers: Object.keys(log[0]?.headers ?? {})
      .toSorted()
      .join(" "),
  });
});

withDebezium(
  "Kafka Connect killed under load loses nothing and keeps the order; the backlog shows that it is away",
  async () => {
    const before = log.length;
    const load = startLoad(service.app);
    await until("the load runs", async () => load.acknowledged.length >= 1_000);
    await debezium.kill();
    const killedAt = load.acknowledged.length;
    await until("the backlog grows", async () => (await service.backlog()).outbox >= 500n);
    const { outboxOldest } = await service.backlog();
    expect(outboxOldest).toBeInstanceOf(Date);
    await debezium.start(SERVICE);
    const depth = (await service.backlog()).outbox;
    await until("the load has gone on", async () => load.acknowledged.length >= killedAt + 3_000);
    await load.stop();
    await until("all facts were read back", async () => (await service.backlog()).outbox === 0n);
    const { acknowledged } = load;
    const ids = new Set(acknowledged.map(({ id }) => id));
    const read = () => claimsIn(log.slice(before)).filter(({ id }) => ids.has(id));
    await until("all facts lie in the topic", async () => new Set(read().map(({ id }) => id)).size >= ids.size);
    const found = countDeliveries(acknowledged, read());
    say({ ...found, killedAt, depth: String(depth), overtaken: overtaken() });
    expect(found.broken).toEqual([]);
  },
);

withDebezium(
  "Kafka Connect away for longer than its slot lasts: the service makes another and publishes what is in none",
  async () => {
    const before = log.length;
    const load = startLoad(service.app);
    await debezium.kill();
    await until("the backlog grows", async () => (await service.backlog()).outbox >= 500n);
    await breakSlot();
    const alone = load.acknowledged.length;
    await debezium.start(SERVICE);
    await until("the load has gone on", async () => load.acknowledged.length >= alone + 500);
    await load.stop();
    await until("all facts were read back", async () => (await service.backlog()).outbox === 0n);
    const found = countDeliveries(load.acknowledged, claimsIn(log.slice(before)));
    say({ ...found, alone, overtaken: overtaken() });
    expect(found.broken).toEqual([]);
  },
);

withDebezium(
  "the slot of a service that tells nothing follows the server's log, or it would keep all of it",
  async () => {
    await debezium.sql("create table filler as select repeat('x', 100) from generate_series(1, 10000)");
    const [written] = await debezium.sql("select pg_current_wal_lsn() as lsn");
    await until("the slot has followed", async () => {
      const [slot] = await debezium.sql(
        `select confirmed_flush_lsn >= '${written?.["lsn"]}' as followed from pg_replication_slots`,
      );
      return slot?.["followed"] === true;
    });
  },
);

/** How often the service took facts for lost that were only slow: no fault, but they came twice. */
function overtaken(): number {
  return service.lines.filter(({ event }) => event === "relay.overtaken").length;
}

/** Facts of two types and many sizes, each in a context of its own. */
async function tellSomething(app: App, key: string, index: number): Promise<void> {
  await withContext(contextFrom(`request-${index}`, null), () =>
    app.record((tx) => {
      if (index % 3 === 0) tx.emit(StockReserved, { orderId: key });
      else
        tx.emit(StockChanged, { productId: key, onHand: index - 150, available: index, version: BigInt(index) ** 6n });
    }),
  );
}

/** Steady writers, each of keys of its own, so that the order of what they were told is the order of the commits. */
function startLoad(app: App) {
  const acknowledged: Claim[] = [];
  let going = true;
  const write = async () => {
    const keys = Array.from({ length: AGGREGATES / WRITERS }, () => randomUUID());
    for (let version = 0; going; version++) {
      const productId = keys[version % keys.length] ?? "";
      await app.record((tx) => tx.emit(StockChanged, { productId, version: BigInt(version) }));
      acknowledged.push({ id: `${productId}/${version}`, key: productId });
      await Bun.sleep(10);
    }
  };
  const writing = Promise.all(Array.from({ length: WRITERS }, write));
  const load = {
    acknowledged,
    async stop() {
      going = false;
      await writing;
    },
  };
  loads.push(load);
  return load;
}

function claimsIn(messages: Lying[]): Claim[] {
  return messages.map(({ value }) => {
    const { productId, version } = fromBinary(StockChangedSchema, value);
    return { id: `${productId}/${version}`, key: productId };
  });
}

/** PostgreSQL breaks a slot at a checkpoint that finds its reader away for too long, or too far behind. */
async function breakSlot(): Promise<void> {
  await debezium.sql("alter system set idle_replication_slot_timeout = '1s'");
  await debezium.sql("select pg_reload_conf()");
  await until("the slot is broken", async () => {
    await debezium.sql("checkpoint");
    return service.lines.some(({ event }) => event === MADE);
  });
  await debezium.sql("alter system reset idle_replication_slot_timeout");
  await debezium.sql("select pg_reload_conf()");
}

function say(found: object): void {
  process.stderr.write(`${JSON.stringify(found)}\n`);
}
