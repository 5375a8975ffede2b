import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export type { Counter, Gauge, Histogram } from "prom-client";

/** Prometheus metrics of one process. Names follow the OpenTelemetry conventions where they have one. */
export interface Metrics {
  /** Seconds per RPC, by service, method and Connect code ("ok" when it succeeded). */
  rpcSeconds: Histogram<"service" | "method" | "code">;
  /** Facts and jobs handled, by service, type and outcome: done, duplicate, retried or parked. */
  messages: Counter<"service" | "type" | "outcome">;
  /** Facts published by relays. */
  published: Counter<"service">;
  /** Requests turned away by a rate limit, by route. */
  limited: Counter<"route">;
  /** Rows waiting, by service and kind: outbox, due, scheduled, parked. Read when scraped. */
  backlog: Gauge<"service" | "kind">;
  /** Orders by the state they moved to. */
  moves: Counter<"aggregate" | "to">;
  /** The text of /metrics. */
  expose(): Promise<{ contentType: string; body: string }>;
  /** Called before each exposition. */
  onScrape(collect: () => Promise<void>): void;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  const collectors: (() => Promise<void>)[] = [];
  collectDefaultMetrics({ register: registry });
  return {
    rpcSeconds: new Histogram({
      name: "bodega_rpc_duration_seconds",
      help: "Duration of RPCs",
      labelNames: ["service", "method", "code"],
      buckets: SECONDS,
      registers,
    }),
    messages: new Counter({
      name: "bodega_messages_total",
      help: "Facts and jobs handled",
      labelNames: ["service", "type", "outcome"],
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
    moves: new Counter({
      name: "bodega_moves_total",
      help: "State changes",
      labelNames: ["aggregate", "to"],
      registers,
    }),
    onScrape: (collect) => collectors.push(collect),
    expose: async () => {
      await Promise.all(collectors.map((collect) => collect()));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}
