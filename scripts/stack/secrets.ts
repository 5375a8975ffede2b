// What the stack is told in files: the product's own, and those of the servers. Made once; what is there stays, so that a secret can also be brought.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { declarations } from "../../services/all.ts";
import { writeSecrets } from "../../services/keys.ts";
import { must } from "../command.ts";

const OF_SERVERS = [
  "auth_secret",
  "pg_super",
  "pg_replication",
  "redis_password",
  "rabbitmq_password",
  "erlang_cookie",
  "grafana_password",
  "debezium_password",
];
/** By the overlay `clusters`. */
const OWN_CLUSTERS = ["auth", "product", "order"];
const RABBITMQ_NODES = ["rabbitmq-1", "rabbitmq-2", "rabbitmq-3"];
/** A trial's certificate is nobody's but ours, for as long as a trial may last. */
const CERTIFICATE_DAYS = "825";

/** Completes `folder`; `host` is what the certificate is for, where none was brought as tls_pem. */
export async function makeSecrets(folder: string, host: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const write = (name: string, value: string) => writeFileSync(join(folder, name), value, { mode: 0o600 });
  const read = (name: string) => readFileSync(join(folder, name), "utf8").trim();
  await writeSecrets(
    folder,
    (await declarations()).flatMap(({ made = [] }) => made),
  );
  for (const name of OF_SERVERS) if (!existsSync(join(folder, name))) write(name, randomBytes(32).toString("hex"));
  if (!existsSync(join(folder, "tls_pem"))) write("tls_pem", await certificateFor(host));
  const superuserAt = (host: string) => `postgres://postgres:${read("pg_super")}@${host}:5432/postgres`;
  write("database_url", superuserAt("pg"));
  for (const service of OWN_CLUSTERS) write(`database_url_${service}`, superuserAt(`pg-${service}`));
  // The one name that all nodes answer to, twice: of one URL the driver would think that it is no Cluster.
  const redis = `redis://:${read("redis_password")}@redis:6379`;
  write("redis_url", `${redis},${redis}`);
  write(
    "rabbitmq_url",
    RABBITMQ_NODES.map((node) => `amqp://bodega:${read("rabbitmq_password")}@${node}:5672`).join(","),
  );
}

/** Certificate and key in one file, as HAProxy reads them. */
async function certificateFor(host: string): Promise<string> {
  const names = [...new Set([host, "localhost"])].map((name) => `DNS:${name}`).join(",");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const about = ["-days", CERTIFICATE_DAYS, "-subj", `/CN=${host}`, "-addext", `subjectAltName=${names},IP:127.0.0.1`];
  const said = await must(["openssl", "req", "-x509", ...key, ...about, "-keyout", "-", "-out", "-"]);
  return said.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g)?.join("") ?? "";
}
