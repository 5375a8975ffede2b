// What points at a cause, besides the goals that burn (slos.ts). Each has a page docs/runbooks/<name>.md.
import { INBOX_DAYS } from "../packages/database/inbox.ts";

export interface Alert {
  name: string;
  severity: "page" | "ticket";
  /** What is noticed of something else that is broken: silent while a page names that (alertmanager.yml). */
  symptom?: true;
  expr: string;
  for: string;
  /** Goes on for so long after it is over, and keeps silent what follows from it while that ends: longer than that goes on itself. */
  keep?: string;
  summary: string;
}

export const ALERTS: Alert[] = [
  {
    name: "ServiceDown",
    severity: "page",
    // In a swarm a name leads nowhere once no task behind it is healthy: Prometheus does not know then that there was anybody to ask.
    expr: 'up{job="bodega"} == 0 or group by (service) (present_over_time(up{job="bodega",service!=""}[1d])) unless on (service) up{job="bodega"}',
    for: "1m",
    summary:
      "{{ with $labels.instance }}{{ . }} does not answer{{ else }}no process of {{ $labels.service }} answers{{ end }} its metrics",
  },
  {
    name: "DatabaseAway",
    severity: "page",
    expr: "max by (service) (bodega_database_answers) == 0",
    for: "1m",
    keep: "13m",
    summary: "no process reaches the database of {{ $labels.service }}",
  },
  {
    name: "BrokerAway",
    severity: "page",
    symptom: true,
    expr: 'max by (part) (bodega_part_answers{part=~"events|jobs"}) == 0',
    for: "1m",
    keep: "10m",
    summary: "what carries {{ $labels.part }} does not answer: no broker, or too few for a majority",
  },
  {
    name: "BrokerStrained",
    severity: "ticket",
    symptom: true,
    expr: 'max by (part) (bodega_part_troubles{part=~"events|jobs"}) > 0',
    for: "5m",
    summary: "what carries {{ $labels.part }} is not in order: bodega doctor says what",
  },
  {
    name: "SlotBehind",
    severity: "ticket",
    expr: 'max(bodega_part_troubles{part="slots"}) > 0',
    for: "5m",
    summary: "PostgreSQL keeps its log for a reader that is away or behind; it fills the disk",
  },
  {
    name: "DatabaseStrained",
    severity: "ticket",
    expr: 'max(bodega_part_troubles{part="postgresql"}) > 0',
    for: "5m",
    summary: "a copy of the database is away or far behind, or its connections are nearly used up",
  },
  {
    name: "DiskFull",
    severity: "page",
    expr: 'max by (instance) (bodega_part_troubles{part="disk"}) > 0',
    for: "1m",
    summary: "the disk under DATA_DIR of {{ $labels.instance }} is nearly full: PostgreSQL stops when it is",
  },
  {
    name: "RedisAway",
    severity: "ticket",
    expr: 'min by (instance) (bodega_part_answers{part="locks"}) == 0 or max by (instance) (bodega_part_troubles{part="locks"}) > 0',
    for: "1m",
    summary:
      "{{ $labels.instance }} is without Redis, or with half of it: limits are counted in each process, more strictly",
  },
  {
    name: "CertificateExpires",
    severity: "ticket",
    expr: 'max(bodega_part_troubles{part="certificate"}) > 0',
    for: "10m",
    summary: "the certificate that callers are shown ends in less than two weeks",
  },
  {
    name: "MessagesParked",
    severity: "ticket",
    expr: 'max by (service) (bodega_backlog{kind="parked"}) > 0',
    for: "1m",
    summary: "{{ $value }} messages of {{ $labels.service }} wait for a person",
  },
  {
    name: "OutboxBehind",
    severity: "page",
    symptom: true,
    expr: 'max by (service) (bodega_backlog_oldest_seconds{kind="outbox"}) > 60',
    for: "2m",
    summary: "facts of {{ $labels.service }} have not been published for {{ $value | humanizeDuration }}",
  },
  {
    name: "JobsBehind",
    severity: "page",
    symptom: true,
    expr: 'max by (service) (bodega_backlog_oldest_seconds{kind="due"}) > 120',
    for: "2m",
    summary: "a job of {{ $labels.service }} has been due for {{ $value | humanizeDuration }}",
  },
  {
    name: "ReconciliationDiffers",
    severity: "ticket",
    expr: "max by (service, problem) (bodega_reconcile_differences) > 0",
    for: "1m",
    summary: "the books of {{ $labels.service }} differ from the provider's: {{ $labels.problem }}",
  },
  {
    name: "CanaryDoubled",
    severity: "page",
    expr: 'max(bodega_canary_sums{state="duplicated"}) > 0',
    for: "0m",
    summary: "{{ $value }} acknowledged sums were delivered twice",
  },
  {
    name: "CanaryMissing",
    severity: "page",
    symptom: true,
    expr: "max(bodega_canary_oldest_undelivered_seconds) > 60",
    for: "1m",
    summary: "an acknowledged sum has not arrived for {{ $value | humanizeDuration }}",
  },
  {
    name: "ClaimsLost",
    severity: "ticket",
    symptom: true,
    // A process that was frozen is compared with what it was before: it may have been so for nearly as long.
    expr: "sum by (service) (increase(bodega_stale_claims_total[30m])) > 0",
    for: "0m",
    summary: "workers of {{ $labels.service }} were slower than their leases",
  },
  {
    name: "ClockOff",
    severity: "ticket",
    expr: "max by (instance) (abs(bodega_clock_skew_seconds)) > 1",
    for: "5m",
    summary: "the clock of {{ $labels.instance }} is {{ $value }} s off the database's",
  },
  {
    name: "FactsKeptTooLong",
    severity: "ticket",
    expr: `max by (topic) (bodega_facts_repeat_seconds) > ${INBOX_DAYS * 86_400}`,
    for: "5m",
    summary: "topic {{ $labels.topic }} keeps facts for {{ $value | humanizeDuration }}, longer than inboxes remember",
  },
  {
    name: "EventLoopBlocked",
    severity: "ticket",
    expr: "max by (instance) (nodejs_eventloop_lag_p99_seconds) > 0.5",
    for: "5m",
    summary: "{{ $labels.instance }} answers nobody for {{ $value }} s at a time",
  },
  {
    name: "ManyRefused",
    severity: "ticket",
    expr: 'sum(rate(bodega_rate_limited_total{route="all"}[5m])) > 1',
    for: "5m",
    summary: "the edge has more under way than it can do, and refuses {{ $value }} requests a second",
  },
];
