import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { sourceOf } from "../../api/envelope.ts";
import type { Backlog } from "../../database/backlog.ts";
import { type Batcher, createBatcher } from "../../database/batch.ts";
import { type Database, unlessDeadlocked } from "../../database/database.ts";
import { type ReadBack, startDebeziumRelay } from "../../database/debezium.ts";
import { migrate } from "../../database/migrate.ts";
import type { Outgoing } from "../../database/outbox.ts";
import { type Relay, type RelayKind, startPollRelay } from "../../database/relay.ts";
import type { Replicas } from "../../database/replicas.ts";
import { JOBS, OUTBOX, type Recorded, type Recorder, record, type Tx, write } from "../../database/story.ts";
import { startWalRelay } from "../../database/wal.ts";
import type { Events } from "../../events/events.ts";
import type { Jobs } from "../../jobs/jobs.ts";
import type { Locks } from "../../locks/locks.ts";
import { type Context, contextHeaders, currentContext } from "../../telemetry/context.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { span, spanWithin } from "../../telemetry/trace.ts";
import type { Clock } from "../../time/clock.ts";
import type { Random } from "../../time/random.ts";
import type { App } from "../app.ts";
import type { Caller, Verifier } from "../caller.ts";
import type { Served } from "../outside.ts";
import { onePlace, type Places } from "../places.ts";
import type { Service } from "../service.ts";
import { bindRpcs, type Rpc, route, rpcAttributes } from "../wire/rpc.ts";
import { backlogOf } from "./backlog.ts";
import { guardAfterCrash } from "./crash-guard.ts";
import { answeringInTime } from "./display-reads.ts";
import { handlersOf } from "./handle.ts";
import { shareHearing } from "./hearing.ts";
import { ENGINE_KEEPS, maintenanceOf } from "./maintenance.ts";
import { sending } from "./message-spans.ts";
import { createOnce } from "./once.ts";
import { opsHandlers } from "./ops.ts";
import { createReceiver, takeInJobs } from "./reactions.ts";
import { startSchedules } from "./schedules.ts";
import { showSizes } from "./table-sizes.ts";
import { givingUpUnknown } from "./unknown.ts";
import { createWatchers } from "./watch.ts";
import { startWorker, type Worker } from "./worker.ts";

/** What a service runs on: the ports, and how to reach the other services. */
export interface Ports {
  database: Database;
  /** The same database, as a user who may read its write-ahead log. */
  relayUrl: string;
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
  definition: Service;
  pages?: Served;
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
  await migrate(ports.database, definition.migrations, (name, seconds) =>
    log.info("migration.running", { name, seconds }),
  );
  const recorder: Recorder = { service: definition.name, now: ports.clock.now, newId: ports.random.id };
  const wakes: { relay?: Relay; worker?: Worker } = {};
  const committed = (recorded: Recorded) => {
    const [facts, jobs] = [recorded.get(OUTBOX), recorded.get(JOBS)];
    if (facts) wakes.relay?.wake(facts);
    if (jobs) wakes.worker?.enqueued(jobs);
  };
  const app = createApp(definition, ports, recorder, log, committed);
  const ops = opsHandlers(definition.name, ports.clock.now());
  const answers = answeringInTime(definition.name, [...definition.answers, ops], ports);
  const rpcs = bindRpcs(app, { answers }, ports.verifier);
  const { pages } = definition;
  const closers: (() => Promise<void>)[] = [];
  return {
    name: definition.name,
    definition,
    ...(pages && { pages: { ...pages.serve(app), paths: pages.paths } }),
    app,
    rpcs,
    transport: createRouterTransport((router) => route(router, rpcs)),
    async react() {
      const relay = startRelay(ports, definition.name, log);
      const handlers = handlersOf(definition.name, definition.hears, definition.does);
      const guard = await guardAfterCrash(ports.database, log);
      const { careful } = guard;
      countFromZero(app, definition);
      const hearing = await shareHearing(definition, ports.database.sql, log);
      const worker = startWorker(app, definition.does, handlers, ports.jobs, hearing.known, careful);
      Object.assign(wakes, { relay, worker });
      const atHome = new Set(definition.hears.flatMap((each) => (each.atHome && each.fact ? each.fact.type : [])));
      const receive = createReceiver(app, handlers, worker.wake, atHome, careful);
      const subscriptions = [
        ports.jobs.receive(
          definition.name,
          async (batch) => {
            await takeInJobs(app, batch);
            worker.wake();
          },
          worker.wake,
        ),
        ...(definition.hears.length > 0 ? [hearing.subscribe(ports.events, receive)] : []),
      ];
      const schedules = startSchedules(
        app,
        [maintenanceOf(definition.keeps), givingUpUnknown(hearing.handled), ...(definition.schedules ?? [])],
        ports.database,
      );
      closers.push(async () => {
        await Promise.all([...subscriptions, worker, relay, schedules].map((each) => each.close()));
        await hearing.close();
        await guard.close();
      });
      showSizes(app, [...ENGINE_KEEPS, ...(definition.keeps ?? [])]);
      await definition.starts?.(app);
    },
    ready: async () => await ports.database.sql`select 1`,
    backlog: () => backlogOf(app),
    busy: () => wakes.worker?.busy() ?? 0,
    async close() {
      for (const close of closers.reverse()) await close();
      await ports.replicas?.close();
      await ports.database.close();
    },
  };
}

/** Of a counter that begins with its first step, increase() does not see that step. */
function countFromZero({ metrics }: App, { name, does, hears }: Service): void {
  const types = [...does.map(({ job }) => job.type), ...hears.flatMap(({ fact }) => fact?.type ?? [])];
  for (const type of types) metrics.stale.inc({ service: name, type }, 0);
}

function createApp(
  definition: Service,
  ports: Ports,
  recorder: Recorder,
  log: Log,
  committed: (recorded: Recorded) => void,
): App {
  const { database, clock, random, locks, metrics } = ports;
  const batcher = observedCommits(definition.name, createBatcher(database));
  const watch = createWatchers();
  const transact = <T>(story: (tx: Tx) => Promise<T>): Promise<T> => unlessDeadlocked(() => attempt(story));
  async function attempt<T>(story: (tx: Tx) => Promise<T>): Promise<T> {
    const recording = record(recorder);
    const result = await spanWithin(definition.name, "transaction", databaseSpan(definition.name), () =>
      database.transaction(async (sql) => {
        const under = (context: Context): Tx => ({ ...recording.under(context), sql, under });
        const done = await story({ ...recording, sql, under });
        await write(sql, recording.recorded);
        return done;
      }),
    );
    committed(recording.recorded);
    for (const key of recording.keys) watch.changed(key);
    return result;
  }
  const base = onePlace({
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
  });
  return onePlace<Omit<App, keyof Places>>({
    ...base,
    call: (service, caller) => client(ports, definition.name, service, caller),
    async record(story) {
      const recording = record(recorder);
      story(recording);
      await batcher.commit(recording.recorded);
      committed(recording.recorded);
      for (const key of recording.keys) watch.changed(key);
    },
    ...createOnce(base, onePlace({ sql: database.sql, transact, commit: batcher.commit }), recorder, committed),
  });
}

/** By what a commit writes, each caller's from when it began to wait for the statement that it shares. */
function observedCommits(service: string, { commit }: Batcher): Batcher {
  return {
    commit(recorded, key) {
      const name = () => `INSERT ${[...new Set(Array.from(recorded.keys(), ({ name }) => name))].join(", ")}`;
      const options = databaseSpan(service, () => ({ "db.operation.name": "INSERT", "db.query.summary": name() }));
      return spanWithin(service, name, options, () => commit(recorded, key));
    },
  };
}

function databaseSpan(service: string, attributes: () => Record<string, string> = () => ({})) {
  return {
    kind: "client" as const,
    attributes: () => ({ "db.system.name": "postgresql", "db.namespace": `bodega_${service}`, ...attributes() }),
  };
}

/** A client that carries the request's context, and the caller's token or this service's own. */
function client<S extends DescService>(ports: Ports, own: string, service: S, caller: Caller | undefined): Client<S> {
  const transport = ports.transport(service);
  const send: Transport = {
    unary: (method, signal, timeoutMs, header, input, contextValues) =>
      span(
        own,
        `${service.typeName}/${method.name}`,
        { kind: "client", attributes: () => rpcAttributes(method) },
        async () =>
          transport.unary(method, signal, timeoutMs ?? CALL_TIMEOUT_MS, await outgoing(header), input, contextValues),
      ),
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

function startRelay({ database, relayUrl, relay, pollMs, events, metrics }: Ports, service: string, log: Log): Relay {
  const published = (count: number) => metrics.published.inc({ service }, count);
  const publish = async (facts: Outgoing[]) => {
    const named = facts.map(({ position: _, ...fact }) => ({ ...fact, source: sourceOf(service) }));
    await sending(service, named, (sent) => events.publish(sent));
    published(facts.length);
  };
  if (relay === "wal") return startWalRelay(database, relayUrl, publish, log);
  if (relay === "poll") return startPollRelay(database, publish, log, pollMs);
  const readBack: ReadBack = (topic, came) =>
    events.subscribe(`${service}.outbox.${topic}`, [topic], async (facts) => {
      const own = facts.filter(({ source }) => source === sourceOf(service));
      const { forgotten } = await came(own.map(({ id }) => id));
      published(forgotten);
    });
  return startDebeziumRelay(database, relayUrl, publish, readBack, log);
}
