// Every variable with its meaning; what the code reads and what is told here are compared at every check.
import { isProduct } from "./tidy-source.ts";
import { ownFiles } from "./tree.ts";

interface Variable {
  name: string;
  unset: string;
  meaning: string;
}

const GROUPS: Record<string, Variable[]> = {
  "Where it listens": [
    {
      name: "HOST",
      unset: "`127.0.0.1`",
      meaning: "the address everything below is bound to; `0.0.0.0` opens it to the network",
    },
    { name: "PORT", unset: "`8080`", meaning: "the edge: Connect, gRPC-Web, REST, OpenAPI, webhooks, the pay page" },
    { name: "GRPC_PORT", unset: "`50051`", meaning: "native gRPC (h2c), with reflection" },
    { name: "OPS_PORT", unset: "`9091`", meaning: "`/metrics`, `/health`, `/healthz`" },
    { name: "MAIL_PORT", unset: "`8025`", meaning: "the mail catcher: its page, and MailHog's API" },
    { name: "SMTP_PORT", unset: "`1025`", meaning: "the mail catcher's SMTP" },
    {
      name: "PUBLIC_URL",
      unset: "`http://127.0.0.1:PORT`",
      meaning: "the edge as customers see it: checkout links begin with it; no slash at its end",
    },
    { name: "CORS_ORIGINS", unset: "`*`", meaning: "origins whose pages may call, by comma" },
    {
      name: "TRUST_PROXY",
      unset: "none",
      meaning: "addresses and CIDR ranges of proxies whose `X-Forwarded-For` is believed, by comma",
    },
    { name: "RATE_LIMITS", unset: "`on`", meaning: "`off` is for benches only; a warning says so" },
  ],
  "What it keeps": [
    { name: "DATA_DIR", unset: "`.data`", meaning: "PostgreSQL's files, secrets, the anchor of business time" },
    {
      name: "DATABASE_URL",
      unset: "a PostgreSQL of its own in `DATA_DIR`",
      meaning:
        "another PostgreSQL; its user may create roles and databases; of several hosts by comma the one that is primary is used",
    },
    {
      name: "DATABASE_REPLICA_URLS",
      unset: "none",
      meaning:
        "replicas of it, by comma, that answer reads for strangers and for callers who send back the `bodega-position` of their last write",
    },
    {
      name: "RELAY",
      unset: "`poll`",
      meaning:
        "how facts leave the outbox: `poll`, `wal` for logical replication, or `debezium` where Kafka Connect carries them (both want `wal_level=logical`, the latter `KAFKA_BROKERS`)",
    },
  ],
  "Services apart": [
    {
      name: "CLUSTER_SECRET",
      unset: "made once, kept in `DATA_DIR`",
      meaning:
        "shared by all services, not by the gateway: their database passwords and the key of their own tokens follow from it; at least 32 characters",
    },
    {
      name: "<SERVICE>_URL",
      unset: "`http://<service>:8080`",
      meaning: "where a service answers that runs in another process, such as `ORDER_URL`",
    },
    {
      name: "<SERVICE>_DATABASE_URL",
      unset: "a database on the server of `DATABASE_URL`",
      meaning: "a database that is there already, such as `ORDER_DATABASE_URL`; its user owns it",
    },
    {
      name: "TIME_SCALE_SINCE",
      unset: "wanted where `TIME_SCALE` is not 1",
      meaning: "when business time and real time were one, such as `2026-01-31T08:00:00Z`: the same in every process",
    },
  ],
  "Who may come in": [
    { name: "ADMIN_EMAIL", unset: "`admin@bodega.test`", meaning: "the first start makes this admin" },
    {
      name: "ADMIN_PASSWORD",
      unset: "made once, printed, kept in `DATA_DIR`",
      meaning: "the first admin's password; later starts do not change it",
    },
    {
      name: "AUTH_SECRET",
      unset: "made once, kept in the database",
      meaning: "seals signing keys and keys the digests of mailed codes; at least 32 characters",
    },
  ],
  "What it plays": [
    {
      name: "TIME_SCALE",
      unset: "`1`",
      meaning:
        "how much faster than real time orders live: at `3600` a day takes 24 s; logins and codes stay in real time",
    },
    { name: "DEMO", unset: "`on`", meaning: "`off`: the first start makes no demo products" },
    { name: "KITCHEN_STAFF", unset: "`on`", meaning: "`off`: nobody works the tickets but people" },
  ],
  "What it talks to": [
    {
      name: "KAFKA_BROKERS",
      unset: "facts in PostgreSQL",
      meaning:
        "Kafka for facts: `host:port`, or several by comma; missing topics are made, with three partitions and, of three brokers, three copies",
    },
    {
      name: "RABBITMQ_URL",
      unset: "jobs in PostgreSQL",
      meaning:
        "RabbitMQ for jobs from service to service: `amqp://[user:password@]host[:port][/vhost]`, or several nodes of one cluster by comma",
    },
    {
      name: "RABBITMQ_DELAY",
      unset: "`ttl`",
      meaning: "how RabbitMQ holds wake-ups back: `ttl`, or `plugin` where it has `rabbitmq_delayed_message_exchange`",
    },
    {
      name: "REDIS_URL",
      unset: "locks and counters in the process",
      meaning:
        "Redis for locks and rate limits, or several nodes of a Redis Cluster by comma; speed only, nothing is lost with it",
    },
    { name: "SMTP_URL", unset: "the mail catcher", meaning: "`smtp://[user:password@]host[:port]` or `smtps://…`" },
    { name: "MAIL_FROM", unset: "`Bodega <orders@bodega.test>`", meaning: "the sender of all mails" },
    {
      name: "EMBEDDED_WEBHOOK_SECRET",
      unset: "made once, kept in the database",
      meaning: "signs the embedded payment provider's webhooks; at least 32 characters",
    },
  ],
};

export async function configurationPage(): Promise<string> {
  const names = Object.values(GROUPS).flatMap((group) => group.map(({ name }) => name));
  // A name that is put together from a service's is not in the code as it is here.
  const told = names.filter((name) => !name.startsWith("<"));
  const missing = differences(told, await readInCode());
  if (missing.length > 0) throw new Error(missing.join("\n"));
  const tables = Object.entries(GROUPS).map(
    ([title, group]) =>
      `## ${title}\n\n| variable | unset | meaning |\n| --- | --- | --- |\n${group.map(({ name, unset, meaning }) => `| \`${name}\` | ${unset} | ${meaning} |`).join("\n")}\n`,
  );
  return `# Configuration

All of it is environment variables, read at the start and nowhere below. An empty one is an unset one. A value that
makes no sense stops the start with a sentence that names the variable. \`STRIPE_…\` belong to an adapter that this version
does not have yet: it refuses to start with them rather than ignore them.

${tables.join("\n")}`;
}

export function differences(told: string[], read: string[]): string[] {
  return [
    ...read
      .filter((name) => !told.includes(name))
      .map((name) => `${name} is read, but scripts/docs-configuration.ts does not explain it`),
    ...told
      .filter((name) => !read.includes(name))
      .map((name) => `${name} is explained in scripts/docs-configuration.ts, but nothing reads it`),
  ];
}

/** Names as the code reads them from `env`; what it refuses in a list of names is not read. */
async function readInCode(): Promise<string[]> {
  const files = (await ownFiles()).filter(
    ({ path }) => isProduct(path) && /(config|main|settings|start|-url)\.ts$/.test(path),
  );
  return namesIn(files.map(({ text }) => text).join("\n"));
}

export function namesIn(code: string): string[] {
  const found = Array.from(
    code.matchAll(/\benv\["([A-Z_]+)"\]|\(env, "([A-Z_]+)"/g),
    ([, direct, passed]) => direct ?? passed ?? "",
  );
  return [...new Set(found)];
}
