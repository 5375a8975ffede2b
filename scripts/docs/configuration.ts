// Every variable with its meaning; what the code reads and what is told here are compared at every check (configuration-page.ts).
import { OTEL, type Variable } from "./otel-variables.ts";

export const GROUPS: Record<string, Variable[]> = {
  "Where it listens": [
    {
      name: "HOST",
      unset: "`127.0.0.1`",
      meaning: "the address that `PORT` and `GRPC_PORT` are bound to; `0.0.0.0` opens them to the network",
    },
    { name: "PORT", unset: "`8080`", meaning: "the edge: Connect, gRPC-Web, REST, OpenAPI, webhooks, the pay page" },
    { name: "GRPC_PORT", unset: "`50051`", meaning: "native gRPC (h2c), with reflection" },
    {
      name: "REFLECTION",
      unset: "`on` where only this machine reaches the edge",
      meaning: "whether `buf curl` and `grpcurl` are told the schema",
    },
    {
      name: "OPS_HOST",
      unset: "`127.0.0.1`",
      meaning: "the address that `OPS_PORT` is bound to: beyond this machine only for who scrapes and operates",
    },
    { name: "OPS_PORT", unset: "`9091`", meaning: "`/metrics`, `/health`, `/healthz`" },
    {
      name: "MAIL_HOST",
      unset: "`127.0.0.1`",
      meaning:
        "the address that `MAIL_PORT` and `SMTP_PORT` are bound to: whoever reaches them reads every mailed code; refused beside `SMTP_URL` beyond this machine",
    },
    { name: "MAIL_PORT", unset: "`8025`", meaning: "the mail catcher: its page, and MailHog's API" },
    { name: "SMTP_PORT", unset: "`1025`", meaning: "the mail catcher's SMTP" },
    {
      name: "PUBLIC_URL",
      unset: "`http://127.0.0.1:PORT`",
      meaning:
        "the edge as customers see it: links begin with it; it may have a path, which the edge takes with or without; no slash at its end",
    },
    { name: "CORS_ORIGINS", unset: "`*`", meaning: "origins whose pages may call, by comma" },
    {
      name: "TRUSTED_PROXIES",
      unset: "none",
      meaning: "addresses and CIDR ranges of proxies whose `X-Forwarded-For` or `Forwarded` is believed, by comma",
    },
    {
      name: "NETWORK_BITS",
      unset: "`24`",
      meaning:
        "how much of an IPv4 address names the network that limits count strangers by; of IPv6 it is always the /64",
    },
    {
      name: "DRAIN_TIME",
      unset: "`0s`",
      meaning:
        "for so long an edge that is told to end says so at `/healthz`, and answers all the same: longer than what stands before it takes to see that",
    },
    {
      name: "CERTIFICATE_AT",
      unset: "nobody is asked",
      meaning:
        "`host:port` where TLS ends before the edge, such as `haproxy:8443`: the edge looks at the end of the certificate there, for `bodega doctor` and an alert",
    },
    {
      name: "SECURITY_CONTACT",
      unset: "nobody is named",
      meaning: "whom to tell of a way in, such as `mailto:security@shop.example`: shown at `/.well-known/security.txt`",
    },
    { name: "RATE_LIMITS", unset: "`on`", meaning: "`off` is for benches only; a warning says so" },
  ],
  "What it keeps": [
    { name: "DATA_DIR", unset: "`.data`", meaning: "PostgreSQL's files, secrets, the anchor of business time" },
    {
      name: "DATABASE_URL",
      unset: "a PostgreSQL of its own in `DATA_DIR`",
      meaning:
        "another PostgreSQL; for `all` and `provision` its user may create roles and databases, services apart need only where it is; of several hosts by comma the one that is primary is used; TLS in libpq's words: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`",
    },
    {
      name: "DATABASE_REPLICA_URLS",
      unset: "none",
      meaning:
        "replicas of it, by comma, that answer reads for strangers and for callers who send back the `bodega-position` of their last write",
    },
    {
      name: "EVENTLOG_KEEP_MONTHS",
      unset: "all of them, for ever",
      meaning: "months of the event log that are kept besides the present one; older ones are dropped whole",
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
        "what the keys of all services follow from: for `all` and `provision`, and refused by services apart and the gateway; at least 32 characters",
    },
    {
      name: "<SERVICE>_KEY",
      unset: "wanted by services apart, each its own",
      meaning:
        "such as `ORDER_KEY`: what its database password and its signing key follow from; `GATEWAY_KEY` for the gateway; `BROKER_KEY` for all services where facts or jobs are carried by PostgreSQL. `bun services/main.ts secrets DIR` writes them",
    },
    {
      name: "PUBLIC_KEYS",
      unset: "wanted by services apart",
      meaning: "the public halves, by which they know each other and the gateway; no secret; written by `secrets` too",
    },
    {
      name: "<SERVICE>_URL",
      unset: "`http://<service>:8080`",
      meaning: "where a service answers that runs in another process, such as `ORDER_URL`",
    },
    {
      name: "<SERVICE>_DATABASE_URL",
      unset: "a database on the server of `DATABASE_URL`",
      meaning:
        "a database that is there already, such as `ORDER_DATABASE_URL`, or `BROKER_DATABASE_URL` of the embedded brokers; its user owns it. With one for each, `DATABASE_URL` is not needed",
    },
    {
      name: "TIME_SCALE_SINCE",
      unset: "wanted where `TIME_SCALE` is not 1",
      meaning: "when business time and real time were one, such as `2026-01-31T08:00:00Z`: the same in every process",
    },
  ],
  "How much a customer may hold": [
    {
      name: "UNPAID_ORDERS_MAX",
      unset: "`500`",
      meaning: "unpaid orders of one customer; without limit while `RATE_LIMITS` is off",
    },
    {
      name: "UNPAID_UNITS_MAX",
      unset: "`5000`",
      meaning:
        "units in one customer's unpaid orders, which nobody else can buy; without limit while `RATE_LIMITS` is off",
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
      name: "EVENTLOG_SECRET",
      unset: "made once, kept in `DATA_DIR`",
      meaning:
        "signs the end of the event log, so that who changes its database is found out; at least 32 characters; apart, the process of eventlog needs it",
    },
    {
      name: "AUTH_SECRET",
      unset: "made once, kept in the database",
      meaning: "seals signing keys and second factors, keys the digests of mailed codes; at least 32 characters",
    },
    {
      name: "REQUIRE_ADMIN_TOTP",
      unset: "`off`",
      meaning:
        "`on`: who has no second factor is no admin: TOTP (`bodega totp enable`), or the passkey that opened a session",
    },
    {
      name: "PASSKEY_ORIGINS",
      unset: "no passkeys",
      meaning: "origins of pages that ask for passkeys, by comma, such as `https://shop.example`",
    },
    {
      name: "PASSKEY_RP_ID",
      unset: "the host that all of `PASSKEY_ORIGINS` are under",
      meaning: "the host that passkeys are for; when it changes, those that are there open nothing any more",
    },
  ],
  "What it plays": [
    {
      name: "TIME_SCALE",
      unset: "`1`",
      meaning:
        "how much faster than real time orders live: at `3600` a day takes 24 s; logins and codes stay in real time",
    },
    {
      name: "POINTS_CURRENCY",
      unset: "`EUR`",
      meaning: "the one currency in which points are earned and spent: one point pays one minor unit of it",
    },
    { name: "DEMO", unset: "`on`", meaning: "`off`: the first start makes no demo products" },
    { name: "KITCHEN_STAFF", unset: "`on`", meaning: "`off`: nobody works the tickets but people" },
  ],
  "What it tells of itself": OTEL,
  "What it asks itself": [
    {
      name: "CANARY_EVERY",
      unset: "never",
      meaning:
        "how often the canary asks for a sum through the edge and measures how long it takes to be delivered, such as `5s`",
    },
    { name: "CANARY_URL", unset: "`PUBLIC_URL`, else this process's own edge", meaning: "the edge that it asks" },
  ],
  "What it talks to": [
    {
      name: "KAFKA_BROKERS",
      unset: "facts in PostgreSQL",
      meaning:
        "Kafka for facts: `host:port`, or several by comma; missing topics are made, with three partitions and, of three brokers, three copies",
    },
    { name: "KAFKA_TLS", unset: "`off`", meaning: "`on`: the brokers are reached over TLS" },
    {
      name: "KAFKA_USERNAME",
      unset: "nobody in particular",
      meaning: "who we are to Kafka, by SASL",
    },
    { name: "KAFKA_PASSWORD", unset: "wanted with `KAFKA_USERNAME`", meaning: "its password" },
    {
      name: "KAFKA_SASL",
      unset: "`scram-sha-512`",
      meaning: "how it is shown: `scram-sha-512`, `scram-sha-256`, or `plain`, which wants `KAFKA_TLS`",
    },
    {
      name: "RABBITMQ_URL",
      unset: "jobs in PostgreSQL",
      meaning:
        "RabbitMQ for jobs from service to service: `amqp://[user:password@]host[:port][/vhost]`, `amqps://` for TLS, or several nodes of one cluster by comma",
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
        "Redis for locks and rate limits, `rediss://` for TLS, or several nodes of a Redis Cluster by comma; speed only, nothing is lost with it",
    },
    {
      name: "TLS_CA",
      unset: "the public authorities",
      meaning:
        "whom we trust instead where Kafka, RabbitMQ or Redis is over TLS: certificates in PEM; PostgreSQL's are in its URL: `?sslmode=verify-full&sslrootcert=/path`",
    },
    {
      name: "TLS_CERT",
      unset: "none is shown",
      meaning:
        "our own certificate in PEM, for servers that ask for one; PostgreSQL's is in its URL: `sslcert`, `sslkey`",
    },
    { name: "TLS_KEY", unset: "wanted with `TLS_CERT`", meaning: "its private key in PEM" },
    {
      name: "INNER_TLS",
      unset: "`off`",
      meaning:
        "`on`, the same for all processes apart: they reach each other over TLS, each shows `TLS_CERT`, for the name it is called by (`order` of `https://order:8080`), and takes only those of `TLS_CA`, an authority for the platform alone",
    },
    { name: "SMTP_URL", unset: "the mail catcher", meaning: "`smtp://[user:password@]host[:port]` or `smtps://…`" },
    { name: "MAIL_FROM", unset: "`Bodega <orders@bodega.test>`", meaning: "the sender of all mails" },
    {
      name: "PAYMENT_PROVIDER",
      unset: "`stripe` with `STRIPE_SECRET_KEY`; else `embedded` where only this machine reaches the edge",
      meaning:
        "`embedded`: customers decide on the pay page whether they have paid, so beyond this machine it has to be said; `stripe` says it for the reader only",
    },
    {
      name: "STRIPE_SECRET_KEY",
      unset: "the embedded provider takes the payments",
      meaning:
        "Stripe's secret key `sk_…` or restricted key `rk_…`: Stripe takes the payments ([payments](payments.md))",
    },
    {
      name: "STRIPE_WEBHOOK_SECRET",
      unset: "wanted with `STRIPE_SECRET_KEY`",
      meaning: "the webhook endpoint's signing secret `whsec_…`; several by comma while one takes the place of another",
    },
    {
      name: "STRIPE_API_BASE",
      unset: "`https://api.stripe.com`",
      meaning: "another Stripe, such as a fake: `http://host:port`; refused together with a live key",
    },
    {
      name: "EMBEDDED_WEBHOOK_SECRET",
      unset: "made once, kept in the database",
      meaning: "signs the embedded payment provider's webhooks; at least 32 characters",
    },
  ],
};

/** A new port or a new way in gets its line here. */
export const LISTENERS = `| port | bound to | what | for whom |
| --- | --- | --- | --- |
| \`PORT\` of \`all\` and \`gateway\` | \`HOST\` | the edge | everybody: tokens, access rules, limits |
| \`PORT\`, reflection | \`HOST\` | the schema | everybody where \`REFLECTION\` is on |
| \`PORT\`, \`/pay/…\` | \`HOST\` | the embedded provider's pay page | everybody who knows a payment's id; beyond this machine with \`PAYMENT_PROVIDER=embedded\` only |
| \`GRPC_PORT\` | \`HOST\` | the edge, native gRPC | everybody: tokens, access rules, limits |
| \`PORT\` of services apart | \`HOST\` | their RPCs, without limits | the gateway and other services: a private network |
| \`OPS_PORT\` | \`OPS_HOST\` | metrics, health in detail | operators; nobody is asked who he is |
| \`MAIL_PORT\`, \`SMTP_PORT\` | \`MAIL_HOST\` | the mail catcher, with every code in it | developers; not opened beside \`SMTP_URL\` beyond this machine |
`;
