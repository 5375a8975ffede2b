import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { createBatcher } from "../database/batch.ts";
import type { Database } from "../database/database.ts";
import { type ReadBack, startDebeziumRelay } from "../database/debezium.ts";
import { migrate } from "../database/migrate.ts";
import type { OutboxRow } from "../database/outbox.ts";
import { type Relay, type RelayKind, startPollRelay } from "../database/relay.ts";
import { type Recorded, type Recorder, record, type Tx, write } from "../database/story.ts";
import { startWalRelay } from "../database/wal.ts";
import type { Events, FactMessage } from "../events/events.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { Locks } from "../locks/locks.ts";
import { contextHeaders, currentContext } from "../telemetry/context.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { App } from "./app.ts";
import { type Backlog, readBacklog } from "./backlog.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import { createMaintenance } from "./maintenance.ts";
import { createOnce } from "./once.ts";
import { opsHandlers } from "./ops.ts";
import type { Random } from "./random.ts";
import { createReceiver, takeInJobs } from "./reactions.ts";
import { readingReplicas } from "./replica-reads.ts";
import type { Replicas } from "./replicas.ts";
import { bindRpcs, type Rpc, route } from "./rpc.ts";
import type { Service } from "./service.ts";
import type { Verifier } from "./tokens.ts";
import { createWatchers } from "./watch.ts";
import { startWorker, type Worker } from "./worker.ts";

/** What a service runs on: the ports, and how to reach the other services. */
export interface Ports {
  database: Database;
  /** Connection URL of the same database, for the write-ahead-log relay. */
  databaseUrl: string;
  /** Copies of the database, for display reads. */
  replicas?: Replicas;
  relay: RelayKind;
  /** How often to look for what other processes of the service have committed; left out, often. */
  pollMs?: number;
  events: Events;
  jobs: Jobs;
  locks: Locks;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  verifier: Verifier;
  /** Where a service answers. */
  transport(service: DescService): Transport;
  /** A token of ROLE_SERVICE for this service. */
  serviceToken(): Promise<string>;
}

export interface Running {
  name: string;
  app: App;
  rpcs: Rpc[];
  /** Reaches this service inside the process. */
  transport: Transport;
  /** Rejects while the service's database does not answer. */
  ready(): Promise<unknown>;
  /** Begins to hear facts and to do jobs. Calls before that are answered, reactions wait. */
  react(): Promise<void>;
  /** What waits: facts not published, jobs due now. For tests and readiness. */
  backlog(): Promise<Backlog>;
  /** Calls to the outside world under way. */
  busy(): number;
  close(): Promise<void>;
}

/** Migrates the service's database and binds its handlers to the ports. */
export async function runService(definition: Service, ports: Ports): Promise<Running> {
  const log = ports.log.with({ service: definition.name });
  await migrate(ports.database, definition.migrations);
  const recorder: Recorder = { service: definition.name, now: ports.clock.now, newId: ports.random.id };
  const wakes: { relay?: Relay; worker?: Worker } = {};
  const committed = (recorded: Recorded) => {
    for (const { table, rows } of recorded.values()) {
      if (table === "outbox") wakes.relay?.wake();
      if (table === "jobs") wakes.worker?.enqueued(rows);
    }
  };
  const app = createApp(definition, ports, recorder, log, committed);
  const ops = opsHandlers(definition.name, ports.clock.now());
  const rpcs = bindRpcs(
    app,
    { answers: readingReplicas(definition.name, [...definition.answers, ops], ports.replicas) },
    ports.verifier,
  );
  const closers: (() => Promise<void>)[] = [];
  return {
    name: definition.name,
    app,
    rpcs,
    transport: createRouterTransport((router) => route(router, rpcs)),
    async react() {
      const relay = startRelay(ports, definition.name, log);
      const worker = startWorker(app, definition.does, definition.hears, ports.jobs);
      Object.assign(wakes, { relay, worker });
      const topics = [...new Set(definition.hears.map(({ fact }) => fact.topic))];
      // A message without a type is nobody's, and must not vanish.
      const types = [...definition.hears.map(({ fact }) => fact.type), ""];
      const receive = createReceiver(app, definition.hears, worker.wake);
      const subscriptions = [
        ports.jobs.receive(
          definition.name,
          async (batch) => {
            await takeInJobs(app, batch);
            worker.wake();
          },
          worker.wake,
        ),
        ...(topics.length > 0 ? [ports.events.subscribe(definition.name, topics, receive, types)] : []),
      ];
      const maintenance = createMaintenance(app);
      closers.push(() =>
        Promise.all([...subscriptions, worker, relay, maintenance].map((each) => each.close())).then(() => {}),
      );
      await definition.starts?.(app);
    },
    ready: async () => await ports.database.sql`select 1`,
    backlog: () => readBacklog(app),
    busy: () => wakes.worker?.busy() ?? 0,
    async close() {
      for (const close of closers.reverse()) await close();
      await ports.replicas?.close();
      await ports.database.close();
    },
  };
}

function createApp(
  definition: Service,
  ports: Ports,
  recorder: Recorder,
  log: Log,
  committed: (recorded: Recorded) => void,
): App {
  const { database, clock, random, locks, metrics } = ports;
  const batcher = createBatcher(database.sql);
  const watch = createWatchers();
  async function transact<T>(story: (tx: Tx) => Promise<T>): Promise<T> {
    const recording = record(recorder);
    const result = await database.transaction(async (sql) => {
      const done = await story({ ...recording, sql });
      await write(sql, recording.recorded);
      return done;
    });
    committed(recording.recorded);
    for (const key of recording.keys) watch.changed(key);
    return result;
  }
  const base = {
    service: definition.name,
    config: definition.config,
    sql: database.sql,
    clock,
    random,
    locks,
    log,
    metrics,
    transact,
    watch,
  };
  return {
    ...base,
    call: (service, caller) => client(ports, service, caller),
    async record(story) {
      const recording = record(recorder);
      story(recording);
      await batcher.commit(recording.recorded);
      committed(recording.recorded);
      for (const key of recording.keys) watch.changed(key);
    },
    once: createOnce(base, batcher, recorder, committed) as App["once"],
  };
}

/** A client that carries the request's context, and the caller's token or this service's own. */
function client<S extends DescService>(ports: Ports, service: S, caller: Caller | undefined): Client<S> {
  const transport = ports.transport(service);
  const send: Transport = {
    unary: async (method, signal, timeoutMs, header, input, contextValues) =>
      transport.unary(method, signal, timeoutMs ?? CALL_TIMEOUT_MS, await outgoing(header), input, contextValues),
    stream: async (method, signal, timeoutMs, header, input, contextValues) =>
      transport.stream(method, signal, timeoutMs, await outgoing(header), input, contextValues),
  };
  async function outgoing(header: ConstructorParameters<typeof Headers>[0]) {
    const headers = new Headers(header);
    for (const [name, value] of Object.entries(contextHeaders(currentContext()))) headers.set(name, value);
    const token = caller ? caller.token : await ports.serviceToken();
    if (token) headers.set("authorization", `Bearer ${token}`);
    return headers;
  }
  return createClient(service, send);
}

const CALL_TIMEOUT_MS = 5_000;

function startRelay(
  { database, databaseUrl, relay, pollMs, events, metrics }: Ports,
  service: string,
  log: Log,
): Relay {
  const published = (count: number) => metrics.published.inc({ service }, count);
  const publish = async (rows: OutboxRow[]) => {
    await events.publish(rows.map((row) => factMessage(service, row)));
    published(rows.length);
  };
  if (relay === "wal") return startWalRelay(database, databaseUrl, publish, log);
  if (relay === "poll") return startPollRelay(database, publish, log, pollMs);
  const readBack: ReadBack = (topic, came) =>
    events.subscribe(`${service}.outbox.${topic}`, [topic], async (facts) => {
      const own = facts.filter(({ source }) => source === sourceOf(service));
      const { forgotten } = await came(own.map(({ id }) => id));
      published(forgotten);
    });
  return startDebeziumRelay(database, publish, readBack, log);
}

function sourceOf(service: string): string {
  return `bodega/${service}`;
}

function factMessage(service: string, row: OutboxRow): FactMessage {
  return {
    id: row.id,
    type: row.type,
    topic: row.aggregatetype,
    key: row.aggregateid,
    source: sourceOf(service),
    time: row.time,
    body: row.payload,
    traceparent: row.traceparent,
    requestId: row.request_id,
  };
}
