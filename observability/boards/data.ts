// What keeps and carries everything: PostgreSQL, Kafka, RabbitMQ, Redis, the disk.
import { type Board, q } from "../panel.ts";

const bytes = (part: string, figure: string) =>
  q(`max by (of) (bodega_part_bytes{part="${part}", figure=~"${figure}"})`, "{{of}}");
const count = (part: string, figure: string, by = "of") =>
  q(`max by (${by}) (bodega_part_count{part="${part}", figure=~"${figure}"})`, `{{${by}}}`);

export const DATA: Board = {
  uid: "bodega-data",
  title: "Data",
  about: "PostgreSQL, its readers and copies, Kafka, RabbitMQ, Redis: does what the shop stands on hold?",
  panels: [
    {
      title: "Databases that answer",
      unit: "short",
      tells: "1 is well. Bad: 0, for one service (its database) or for all (the server).",
      queries: [q("max by (service) (bodega_database_answers)", "{{service}}")],
      runbook: "DatabaseAway",
    },
    {
      title: "What else answers",
      unit: "short",
      tells:
        "1 is well. Bad: 0. `events` is Kafka, `jobs` RabbitMQ, `locks` Redis, or what is embedded in their place.",
      queries: [q("min by (part) (bodega_part_answers)", "{{part}}")],
      runbook: "BrokerAway",
    },
    {
      title: "What is not in order",
      unit: "short",
      tells: "Always zero. What it is, and what to do about it, says `bodega doctor`.",
      queries: [q("max by (part) (bodega_part_troubles)", "{{part}}")],
      runbook: "BrokerStrained",
    },
    {
      title: "Connections of PostgreSQL",
      unit: "short",
      tells: "In use, and how many there may be. Bad: the two lines meet.",
      queries: [count("postgresql", "connections|connectionsMax", "figure")],
      runbook: "DatabaseStrained",
    },
    {
      title: "Databases",
      unit: "bytes",
      tells: "By service. They grow with the orders; bad: one that grows when nothing is sold.",
      queries: [bytes("postgresql", "bytes")],
    },
    {
      title: "Largest tables",
      unit: "bytes",
      tells: "With their indexes. Bad: outbox, inbox or jobs among them, day after day.",
      queries: [q("topk(10, max by (service, table) (bodega_table_bytes))", "{{service}} {{table}}")],
    },
    {
      title: "Log kept for readers",
      unit: "bytes",
      tells: "By replication slot. Bad: it grows in a straight line, which ends with a full disk.",
      queries: [bytes("slots", "heldBytes")],
      runbook: "SlotBehind",
      quiet: true,
    },
    {
      title: "How far copies are behind",
      unit: "bytes",
      tells:
        "Of the primary's log. Bad: more than a few megabytes for longer than a moment; they are not read from then.",
      queries: [bytes("postgresql", "behindBytes")],
      runbook: "DatabaseStrained",
      quiet: true,
    },
    {
      title: "Facts not heard yet",
      unit: "short",
      tells: "By group, which is a service. They come back to zero after every rush.",
      queries: [count("events", "lag")],
      runbook: "BrokerStrained",
    },
    {
      title: "Partitions without enough copies",
      unit: "short",
      tells: "Of Kafka, by topic. Always zero; one without a leader carries nothing.",
      queries: [
        q(
          'max by (of, figure) (bodega_part_count{part="events", figure=~"underReplicated|leaderless"})',
          "{{of}} {{figure}}",
        ),
      ],
      runbook: "BrokerStrained",
      quiet: true,
    },
    {
      title: "Jobs in queues",
      unit: "short",
      tells: "Due, sent and not yet taken, by queue. They come back to zero after every rush.",
      queries: [count("jobs", "depth")],
      runbook: "BrokerStrained",
    },
    {
      title: "Who works the queues",
      unit: "short",
      tells: "Consumers by queue. Bad: 0.",
      queries: [count("jobs", "consumers|consumersHere")],
      runbook: "BrokerStrained",
    },
    {
      title: "Memory of Redis",
      unit: "bytes",
      tells: "By node, and what each may take. Everything of ours in it ends by itself; bad: the two lines meet.",
      queries: [
        q('max by (of, figure) (bodega_part_bytes{part="locks", figure=~"usedBytes|maxBytes"})', "{{of}} {{figure}}"),
      ],
      runbook: "RedisAway",
      quiet: true,
    },
    {
      title: "Free on the disk",
      unit: "bytes",
      tells: "Under DATA_DIR, where PostgreSQL is embedded. Bad: less than a gigabyte.",
      queries: [q('min by (instance) (bodega_part_bytes{part="disk", figure="freeBytes"})', "{{instance}}")],
      runbook: "DiskFull",
    },
    {
      title: "Days that the certificate is good for",
      unit: "short",
      tells: "Bad: less than fourteen. Whoever renews by a program does it at thirty.",
      queries: [q('min(bodega_part_count{part="certificate", figure="days"})', "days")],
      runbook: "CertificateExpires",
      quiet: true,
    },
  ],
};
