// Images under the very names that stack.yml uses, made of what Debian, Maven Central, PyPI and the Go module proxy have: no registry of images is asked.
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, run } from "../../scripts/command.ts";
import { buildAll } from "../../scripts/observe/build.ts";
import { DEBEZIUM, WORKER } from "../../scripts/servers/connect.ts";
import { KAFKA_JARS } from "../../scripts/servers/kafka.ts";
import { MAILHOG } from "../../scripts/servers/mailhog.ts";
import { jarsFolder, LOG4J_SETTINGS } from "../../scripts/servers/maven.ts";
import { fetchMissing } from "../kit/servers/absent.ts";
import type { Daemon } from "./daemon.ts";

const SOURCES = join(import.meta.dir, "images");
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const MADE_OF = "bodega.made-of";
const BASE = "debian:bookworm-slim";

interface Image {
  /** A folder of SOURCES with a Dockerfile. */
  name: string;
  tag: string;
  /** Puts what is not in the folder beside the Dockerfile. */
  fill?(folder: string): void;
  /** The program of observability/build that it is made of. */
  built?: string;
}

const IMAGES: Image[] = [
  { name: "etcd", tag: "quay.io/coreos/etcd:v3.5.21" },
  { name: "redis", tag: "redis:8" },
  { name: "haproxy", tag: "haproxy:3.2" },
  { name: "rabbitmq", tag: "rabbitmq:4-management" },
  {
    name: "kafka",
    tag: "apache/kafka:4.3.1",
    fill(folder) {
      cpSync(jarsFolder(KAFKA_JARS), join(folder, "libs"), { recursive: true });
      writeFileSync(join(folder, "log4j2.properties"), LOG4J_SETTINGS);
    },
  },
  {
    name: "bun",
    tag: "oven/bun:1.4.5-slim",
    fill(folder) {
      copyFileSync(process.execPath, join(folder, "bun"));
      copyFileSync(CERTIFICATES, join(folder, "ca-certificates.crt"));
    },
  },
  {
    name: "postgres",
    tag: "postgres:17-bookworm",
    fill: (folder) => copyFileSync(CERTIFICATES, join(folder, "ca-certificates.crt")),
  },
  { name: "mailhog", tag: "mailhog/mailhog:v1.0.1", fill: (folder) => copyFileSync(MAILHOG, join(folder, "MailHog")) },
];

/** Of stack.observe.yml. Nothing to make Grafana of can be had. */
const OBSERVERS: Image[] = [
  { name: "collector", tag: "otel/opentelemetry-collector-contrib:0.155.0", built: "collector" },
  { name: "tempo", tag: "grafana/tempo:2.8.2", built: "tempo" },
  { name: "loki", tag: "grafana/loki:3.7.8", built: "loki" },
  { name: "alertmanager", tag: "prom/alertmanager:v0.28.1", built: "alertmanager" },
  { name: "prometheus", tag: "prom/prometheus:v3.5.0" },
];

/** Of stack.debezium.yml. */
const CONNECT: Image = {
  name: "connect",
  tag: "quay.io/debezium/connect:3.7.0.Final",
  fill(folder) {
    cpSync(jarsFolder(WORKER), join(folder, "libs"), { recursive: true });
    cpSync(jarsFolder(DEBEZIUM), join(folder, "plugin"), { recursive: true });
  },
};

/** Builds those that are not there as they are to be. `folder` is for the work. */
export async function buildStandIns(
  daemon: Daemon,
  { folder, overlays }: { folder: string; overlays: string[] },
  say: (line: string) => void,
): Promise<void> {
  const debezium = overlays.includes("debezium");
  await fetchMissing(["kafka", "mailhog", ...(debezium ? (["connect"] as const) : [])]);
  await importBase(daemon, folder, say);
  const observed = overlays.includes("observe");
  const binaries = observed ? await buildAll(say) : {};
  const images = [...IMAGES, ...(observed ? OBSERVERS : []), ...(debezium ? [CONNECT] : [])];
  for (const { name, tag, fill, built } of images) {
    const print = printOf(name);
    if ((await madeOf(daemon, tag)) === print) continue;
    say(`  building ${tag}`);
    const work = join(folder, "work");
    cpSync(join(SOURCES, name), work, { recursive: true });
    try {
      fill?.(work);
      if (built) copyFileSync(binaries[built] ?? "", join(work, built));
      await daemon.docker("build", "-q", "--label", `${MADE_OF}=${print}`, "-t", tag, work);
    } finally {
      rmSync(work, { recursive: true });
    }
  }
}

async function importBase(daemon: Daemon, folder: string, say: (line: string) => void): Promise<void> {
  const print = printOf("base");
  if ((await madeOf(daemon, BASE)) === print) return;
  say(`  building ${BASE}`);
  const work = join(folder, "work");
  mkdirSync(work);
  try {
    const script = `set -o pipefail; "$0" "$1" | docker import --change 'LABEL ${MADE_OF}=${print}' - ${BASE}`;
    await must(["bash", "-c", script, join(SOURCES, "base", "make.sh"), work], { env: daemon.env });
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Undefined where there is no such image. */
async function madeOf({ env }: Daemon, tag: string): Promise<string | undefined> {
  const format = `{{index .Config.Labels "${MADE_OF}"}}`;
  const { code, output } = await run(["docker", "image", "inspect", "--format", format, tag], { env });
  return code === 0 ? output.trim() : undefined;
}

/** Of the files that say how it is made; what is filled in has a version in its place. */
function printOf(name: string): string {
  const hash = createHash("sha256");
  for (const file of readdirSync(join(SOURCES, name)).toSorted()) hash.update(readFileSync(join(SOURCES, name, file)));
  return hash.digest("hex").slice(0, 12);
}
