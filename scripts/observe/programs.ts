// What sees Bodega on this machine, from the files of observability/ as far as these programs can read them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { find } from "../servers/find.ts";
import type { Need } from "../servers/server.ts";
import { ROOT } from "../tree.ts";
import type { Binaries } from "./build.ts";

export interface Ports {
  COLLECTOR_HTTP: string;
  COLLECTOR_GRPC: string;
  COLLECTOR_HEALTH: string;
  COLLECTOR_METRICS: string;
  TEMPO_HTTP: string;
  TEMPO_GRPC: string;
  TEMPO_OTLP: string;
  LOKI_HTTP: string;
  LOKI_GRPC: string;
  PROMETHEUS: string;
  ALERTMANAGER: string;
}

export const USUAL: Ports = {
  COLLECTOR_HTTP: "4318",
  COLLECTOR_GRPC: "4317",
  COLLECTOR_HEALTH: "13133",
  COLLECTOR_METRICS: "8888",
  TEMPO_HTTP: "3200",
  TEMPO_GRPC: "9095",
  TEMPO_OTLP: "4327",
  LOKI_HTTP: "3100",
  LOKI_GRPC: "9096",
  PROMETHEUS: "9090",
  ALERTMANAGER: "9093",
};

export const PROGRAMS = ["collector", "tempo", "loki", "alertmanager", "prometheus"];

/** The only one that is not built here. */
export const PROMETHEUS: Need = {
  name: "Prometheus",
  found: () => find("prometheus") !== undefined,
  apt: ["prometheus"],
  brew: "prometheus",
};

export interface Program {
  name: string;
  argv: string[];
  env: Record<string, string>;
  /** Answers 200 when it can serve. */
  ready: string;
}

/** Where they keep what they have, where they listen, and where what they see is. */
export interface Place {
  folder: string;
  ports: Ports;
  /** Bodega's metrics, of each process. */
  opsPorts: string[];
  /** A mail server for alerts. */
  smtpPort: string;
  /** Is sent what is a page; without one pages are only mailed. */
  pagerUrl?: string | undefined;
  /** Those that are wanted; left out, all. */
  only?: string[];
  /** Rules in place of the stack's. */
  ruleFiles?: string;
}

/** Made into metrics so often: a person does not wait for it. */
const EVERY = "2s";
/** No oftener than a process whose database is silent answers. */
const SCRAPED_EVERY = "3s";

const at = (port: string) => `127.0.0.1:${port}`;
/** A file of observability/, which is in this tree. */
const textOf = (path: string) => readFileSync(join(ROOT, "observability", path), "utf8");

/** Writes what they read into the folder, and says how they are started. */
export function programsIn(place: Place, binaries: Binaries): Program[] {
  const { folder, ports } = place;
  const binary = (name: string) => binaries[name] ?? name;
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  mkdirSync(folder, { recursive: true });
  return [
    {
      name: "collector",
      argv: [binary("collector"), "--config", join(ROOT, "observability/collector/collector.yaml")],
      env: {
        COLLECTOR_HOST: "127.0.0.1",
        COLLECTOR_HTTP_PORT: ports.COLLECTOR_HTTP,
        COLLECTOR_GRPC_PORT: ports.COLLECTOR_GRPC,
        COLLECTOR_HEALTH_PORT: ports.COLLECTOR_HEALTH,
        COLLECTOR_METRICS_PORT: ports.COLLECTOR_METRICS,
        TEMPO_GRPC: at(ports.TEMPO_OTLP),
        LOKI_URL: `http://${at(ports.LOKI_HTTP)}`,
        PROMETHEUS_URL: `http://${at(ports.PROMETHEUS)}`,
        TRACE_DECISION_WAIT: EVERY,
        TRACES_KEPT_PERCENT: "100",
        SPAN_METRICS_EVERY: EVERY,
      },
      ready: `http://${at(ports.COLLECTOR_HEALTH)}/`,
    },
    {
      name: "tempo",
      argv: [binary("tempo"), file("tempo.yaml", tempoConfig(place))],
      env: {},
      ready: `http://${at(ports.TEMPO_HTTP)}/ready`,
    },
    {
      name: "loki",
      argv: [binary("loki"), "-config.expand-env=true", `-config.file=${join(ROOT, "observability/loki/loki.yaml")}`],
      env: {
        LOKI_HOST: "127.0.0.1",
        LOKI_PORT: ports.LOKI_HTTP,
        LOKI_GRPC_PORT: ports.LOKI_GRPC,
        LOKI_DATA: join(folder, "loki"),
      },
      ready: `http://${at(ports.LOKI_HTTP)}/ready`,
    },
    {
      name: "alertmanager",
      argv: [
        binary("alertmanager"),
        `--config.file=${file("alertmanager.yml", alertmanagerConfig(place))}`,
        `--storage.path=${join(folder, "alertmanager")}`,
        `--web.listen-address=${at(ports.ALERTMANAGER)}`,
        "--cluster.listen-address=",
      ],
      env: {},
      ready: `http://${at(ports.ALERTMANAGER)}/-/ready`,
    },
    {
      name: "prometheus",
      argv: [
        find("prometheus") ?? "prometheus",
        `--config.file=${file("prometheus.yml", prometheusConfig(place))}`,
        `--storage.tsdb.path=${join(folder, "prometheus")}`,
        `--web.listen-address=${at(ports.PROMETHEUS)}`,
        "--web.enable-remote-write-receiver",
        "--enable-feature=exemplar-storage",
      ],
      env: {},
      ready: `http://${at(ports.PROMETHEUS)}/-/ready`,
    },
  ];
}

/** The stack's file with other targets: its rules are the same. */
function prometheusConfig({ ports, opsPorts, ruleFiles }: Place): string {
  const config = Bun.YAML.parse(textOf("prometheus/prometheus.yml")) as Record<string, unknown>;
  return Bun.YAML.stringify({
    ...config,
    global: { scrape_interval: SCRAPED_EVERY, evaluation_interval: EVERY },
    rule_files: [ruleFiles ?? join(ROOT, "observability/prometheus/rules/*.yml")],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [at(ports.ALERTMANAGER)] }] }] },
    scrape_configs: [
      { job_name: "bodega", honor_labels: true, static_configs: [{ targets: opsPorts.map(at) }] },
      { job_name: "collector", static_configs: [{ targets: [at(ports.COLLECTOR_METRICS)] }] },
    ],
  });
}

/** The stack's routes, groups and inhibitions; other addresses, and a person who tries them does not wait half a minute. */
function alertmanagerConfig({ smtpPort, pagerUrl }: Place): string {
  const config = Bun.YAML.parse(textOf("alertmanager/alertmanager.yml")) as {
    global: object;
    route: object;
    receivers: { name: string }[];
  };
  const pager = pagerUrl ? { webhook_configs: [{ url: pagerUrl, send_resolved: true }] } : {};
  return Bun.YAML.stringify({
    ...config,
    global: { ...config.global, smtp_smarthost: at(smtpPort) },
    route: { ...config.route, group_wait: "2s", group_interval: "4s" },
    receivers: config.receivers.map((receiver) =>
      receiver.name === "pager" ? { name: receiver.name, ...pager } : receiver,
    ),
  });
}

/** For a Tempo of 2023, whose keys are others than those of tempo.yaml. */
function tempoConfig({ folder, ports }: Place): string {
  const path = (name: string) => join(folder, "tempo", name);
  const listen = { http_listen_address: "127.0.0.1", grpc_listen_address: "127.0.0.1", log_level: "warn" };
  return Bun.YAML.stringify({
    server: { ...listen, http_listen_port: Number(ports.TEMPO_HTTP), grpc_listen_port: Number(ports.TEMPO_GRPC) },
    distributor: { receivers: { otlp: { protocols: { grpc: { endpoint: at(ports.TEMPO_OTLP) } } } } },
    ingester: {
      trace_idle_period: "1s",
      flush_check_period: "1s",
      max_block_duration: "30s",
      lifecycler: { address: "127.0.0.1", min_ready_duration: "0s" },
    },
    querier: { frontend_worker: { frontend_address: at(ports.TEMPO_GRPC) } },
    query_frontend: { search: { query_backend_after: "0s", query_ingesters_until: "30m" } },
    metrics_generator: {
      ring: { instance_addr: "127.0.0.1" },
      registry: { collection_interval: EVERY },
      processor: { service_graphs: { wait: "5s", max_items: 10_000 } },
      storage: {
        path: path("generator"),
        remote_write: [{ url: `http://127.0.0.1:${ports.PROMETHEUS}/api/v1/write`, send_exemplars: true }],
      },
    },
    compactor: { ring: { instance_addr: "127.0.0.1" }, compaction: { block_retention: "24h" } },
    storage: { trace: { backend: "local", wal: { path: path("wal") }, local: { path: path("blocks") } } },
    overrides: { metrics_generator_processors: ["service-graphs"] },
    usage_report: { reporting_enabled: false },
  });
}
