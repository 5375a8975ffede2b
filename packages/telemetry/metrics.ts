import { Counter, collectDefaultMetrics, Gauge, Histogram, type OpenMetricsContentType, Registry } from "prom-client";
import { unlessLate } from "../time/wait.ts";
import { type Context, currentContext } from "./context.ts";
import { exemplarOf } from "./trace.ts";

export type { Counter, Gauge, Histogram } from "prom-client";

/** Prometheus metrics of one process, in base units. Labels take few values: never an id, an address or a path. */
export interface Metrics {
  /** An RPC has been answered, with a Connect code or "ok". */
  rpc(service: string, method: string, code: string, seconds: number): void;
  /** A request from outside has been answered. */
  edge(protocol: string, status: number, seconds: number): void;
  /** A fact or a job is done in its context, so long after it was told or due, in business time. */
  messageDelay(service: string, type: string, seconds: number, context: Context): void;
  /** Facts and jobs handled, by service, type and outcome: done, duplicate, retried or parked. */
  messages: Counter<"service" | "type" | "outcome">;
  /** Jobs whose worker was slower than its lease: what it then wrote changed nothing. */
  stale: Counter<"service" | "type">;
  /** Facts published by relays. */
  published: Counter<"service">;
  /** Requests turned away by a rate limit, by route. */
  limited: Counter<"route">;
  /** Rows waiting, by service and kind: outbox, due, scheduled, parked. Read when scraped. */
  backlog: Gauge<"service" | "kind">;
  /** How long the oldest of them has been waiting, by service and kind: outbox, due. Read when scraped. */
  backlogOldest: Gauge<"service" | "kind">;
  /** Whether this process reaches the database, by service: 1 or 0. Read when scraped. */
  databaseAnswers: Gauge<"service">;
  /** What the process stands on, by part: whether it could be asked (1 or 0), and how much of it is not in order. */
  partAnswers: Gauge<"part">;
  partTroubles: Gauge<"part">;
  /** Its figures, of the part or of what is in it: a slot, a copy, a topic, a queue. */
  partBytes: Gauge<"part" | "of" | "figure">;
  partCount: Gauge<"part" | "of" | "figure">;
  /** What each table takes with its indexes, and its rows as the server estimates them. */
  tableBytes: Gauge<"service" | "table">;
  tableRows: Gauge<"service" | "table">;
  /** Orders by the state they moved to. */
  moves: Counter<"aggregate" | "to">;
  /** What the last comparison with a provider's books found and could not mend, by service and problem. */
  differences: Gauge<"service" | "problem">;
  /** Sums of the canary by state: acknowledged, delivered, missing, duplicated. Read when scraped. */
  canarySums: Gauge<"state">;
  /** How long the oldest sum that is missing has been on its way, in seconds; 0 when none is. */
  canaryOldest: Gauge;
  /** Seconds of the canary's probe: until the edge has answered, and from then on until the sum was delivered. */
  canarySeconds: Histogram<"step">;
  /** Probes by outcome: delivered, late, refused, wrong. */
  canaryProbes: Counter<"outcome">;
  /** How long after its publication a fact may come again, by topic; asked at the start. */
  factsRepeat: Gauge<"topic">;
  /** How far this machine's clock is ahead of PostgreSQL's, in seconds. */
  clockSkew: Gauge;
  /** The text of /metrics. */
  expose(): Promise<{ contentType: string; body: string }>;
  /** Called before each exposition, which waits two seconds for it at most: what is not measured by then is shown as it was. */
  onScrape(collect: () => Promise<void>): void;
}

/** Of the ten seconds that Prometheus waits. */
const COLLECT_MS_MAX = 2_000;
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** What waits for a broker, a database or a mail server waits longer. */
const DELAY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];

export function createMetrics(): Metrics {
  // Only OpenMetrics has exemplars; Prometheus reads it as well as its own format.
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const registers = [registry];
  const collectors: (() => Promise<void>)[] = [];
  collectDefaultMetrics({ register: registry });
  const traced = (name: string, help: string, labelNames: string[], buckets: number[]) =>
    observer(new Histogram({ name, help, labelNames, buckets, registers, enableExemplars: true }));
  const rpc = traced("bodega_rpc_duration_seconds", "Duration of RPCs", ["service", "method", "code"], SECONDS);
  const edge = traced("bodega_edge_request_duration_seconds", "Duration of requests", ["protocol", "status"], SECONDS);
  const delay = traced("bodega_message_delay_seconds", "Age of messages when done", ["service", "type"], DELAY_SECONDS);
  return {
    rpc: (service, method, code, seconds) => rpc({ service, method, code }, seconds),
    edge: (protocol, status, seconds) => edge({ protocol, status: `${Math.floor(status / 100)}xx` }, seconds),
    messageDelay: (service, type, seconds, context) => delay({ service, type }, seconds, context),
    messages: new Counter({
      name: "bodega_messages_total",
      help: "Facts and jobs handled",
      labelNames: ["service", "type", "outcome"],
      registers,
    }),
    stale: new Counter({
      name: "bodega_stale_claims_total",
      help: "Jobs whose worker had lost them when it wrote",
      labelNames: ["service", "type"],
      registers,
    }),
    published: new Counter({
      name: "bodega_facts_published_total",
      help: "Facts published",
      labelNames: ["service"],
      registers,
    }),
    limited: new Counter({
      name: "bodega_rate_limited_total",
      help: "Requests refused by a limit",
      labelNames: ["route"],
      registers,
    }),
    backlog: new Gauge({ name: "bodega_backlog", help: "Rows waiting", labelNames: ["service", "kind"], registers }),
    backlogOldest: new Gauge({
      name: "bodega_backlog_oldest_seconds",
      help: "Age of the oldest row that waits",
      labelNames: ["service", "kind"],
      registers,
    }),
    databaseAnswers: new Gauge({
      name: "bodega_database_answers",
      help: "1 when the database answers, 0 when it does not",
      labelNames: ["service"],
      registers,
    }),
    partAnswers: new Gauge({
      name: "bodega_part_answers",
      help: "1 when what the process stands on could be asked, 0 when it could not",
      labelNames: ["part"],
      registers,
    }),
    partTroubles: new Gauge({
      name: "bodega_part_troubles",
      help: "What of it is not in order; /health and bodega doctor say what",
      labelNames: ["part"],
      registers,
    }),
    partBytes: new Gauge({
      name: "bodega_part_bytes",
      help: "Its figures that are sizes",
      labelNames: ["part", "of", "figure"],
      registers,
    }),
    partCount: new Gauge({
      name: "bodega_part_count",
      help: "Its figures that are numbers of something",
      labelNames: ["part", "of", "figure"],
      registers,
    }),
    tableBytes: new Gauge({
      name: "bodega_table_bytes",
      help: "Size of tables with their indexes",
      labelNames: ["service", "table"],
      registers,
    }),
    tableRows: new Gauge({
      name: "bodega_table_rows",
      help: "Rows of tables, as estimated when they were last analyzed",
      labelNames: ["service", "table"],
      registers,
    }),
    moves: new Counter({
      name: "bodega_moves_total",
      help: "State changes",
      labelNames: ["aggregate", "to"],
      registers,
    }),
    differences: new Gauge({
      name: "bodega_reconcile_differences",
      help: "Differences between our books and a provider's that need a person",
      labelNames: ["service", "problem"],
      registers,
    }),
    canarySums: new Gauge({ name: "bodega_canary_sums", help: "Sums of the canary", labelNames: ["state"], registers }),
    canaryOldest: new Gauge({
      name: "bodega_canary_oldest_undelivered_seconds",
      help: "Age of the oldest sum that is missing",
      registers,
    }),
    canarySeconds: new Histogram({
      name: "bodega_canary_probe_seconds",
      help: "Duration of the canary's probes",
      labelNames: ["step"],
      buckets: SECONDS,
      registers,
    }),
    canaryProbes: new Counter({
      name: "bodega_canary_probes_total",
      help: "The canary's probes",
      labelNames: ["outcome"],
      registers,
    }),
    factsRepeat: new Gauge({
      name: "bodega_facts_repeat_seconds",
      help: "How long after its publication a fact of the topic may be delivered again; inboxes remember 45 days",
      labelNames: ["topic"],
      registers,
    }),
    clockSkew: new Gauge({
      name: "bodega_clock_skew_seconds",
      help: "How far the clock of this machine is ahead of the database's; nothing is decided by it",
      registers,
    }),
    onScrape: (collect) => collectors.push(collect),
    expose: async () => {
      await Promise.all(collectors.map((collect) => unlessLate(COLLECT_MS_MAX, collect())));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** Measures with the trace that it happened in, so that a slow bucket leads to a slow trace. */
function observer(histogram: Histogram) {
  return (labels: Record<string, string>, value: number, context = currentContext()) => {
    const exemplarLabels = exemplarOf(context);
    histogram.observe({ labels, value, ...(exemplarLabels && { exemplarLabels }) });
  };
}
