// What the shop stands on: the edge, the messages, the processes.
import { type Board, type Panel, q, quantiles, rate } from "../panel.ts";

const FAULTS = "Internal|Unknown|Unavailable|DeadlineExceeded|DataLoss";

const waiting: Panel = {
  title: "Messages that wait for a person",
  unit: "short",
  tells: "Parked: they failed for good. Always zero; anything above it is somebody's order that stands still.",
  queries: [q('max by (service) (bodega_backlog{kind="parked"})', "{{service}}")],
  runbook: "MessagesParked",
};

export const PLATFORM: Board[] = [
  {
    uid: "bodega-edge",
    title: "Edge",
    about: "What people and programs get at the door: how much, how fast, how often an error.",
    panels: [
      {
        title: "Requests",
        unit: "reqps",
        tells: "Per second, by protocol and answer. Bad: 5xx at all, or 4xx that rise without a campaign.",
        queries: [
          q(rate("bodega_edge_request_duration_seconds_count", "", "protocol, status"), "{{protocol}} {{status}}"),
        ],
      },
      {
        title: "How long answers take",
        unit: "s",
        tells: "By protocol. Bad: 99 % above a second, except for streams.",
        queries: quantiles("bodega_edge_request_duration_seconds", "", "protocol"),
        runbook: "PlacingLatencyBurns",
      },
      {
        title: "Calls by RPC",
        unit: "reqps",
        tells: "Which calls make the load. The top ones are listing products and placing orders.",
        queries: [
          q(`topk(10, ${rate("bodega_rpc_duration_seconds_count", "", "service, method")})`, "{{service}} {{method}}"),
        ],
      },
      {
        title: "Calls that failed on us",
        unit: "reqps",
        tells: "Not refusals: faults. Always zero.",
        queries: [
          q(
            rate("bodega_rpc_duration_seconds_count", `code=~"${FAULTS}"`, "service, method, code"),
            "{{service}} {{method}} {{code}}",
          ),
        ],
        runbook: "PlacingAvailabilityBurns",
        quiet: true,
      },
      {
        title: "Turned away by a limit",
        unit: "reqps",
        tells:
          "`all` means that there was more under way than can be done; other routes are single callers who ask too much.",
        queries: [q(rate("bodega_rate_limited_total", "", "route"), "{{route}}")],
        runbook: "ManyRefused",
        quiet: true,
      },
    ],
    logs: '{service_name="gateway"} | detected_level=~"error|warn" or severity_text=~"ERROR|WARN"',
    traces: '{ resource.service.name = "gateway" && status = error }',
  },
  {
    uid: "bodega-messaging",
    title: "Messaging",
    about: "Facts and jobs between the services: does everything that was committed arrive?",
    panels: [
      {
        title: "Age of the oldest that waits",
        unit: "s",
        tells: "In the outbox until it is published, in jobs since it is due. Bad: it grows in a straight line.",
        queries: [q("max by (service, kind) (bodega_backlog_oldest_seconds)", "{{service}} {{kind}}")],
        runbook: "OutboxBehind",
      },
      {
        title: "How many wait",
        unit: "short",
        tells: "Scheduled jobs are tomorrow's and no trouble; outbox and due come back to zero after every rush.",
        queries: [q("max by (service, kind) (bodega_backlog)", "{{service}} {{kind}}")],
        runbook: "JobsBehind",
      },
      waiting,
      {
        title: "Handled",
        unit: "ops",
        tells:
          "By outcome. `duplicate` is a second delivery that did nothing; `retried` that stays is something that is away.",
        queries: [q(rate("bodega_messages_total", "", "service, outcome"), "{{service}} {{outcome}}")],
      },
      {
        title: "Tried again or parked",
        unit: "ops",
        tells:
          "By type. A single type means a bug in one handler; all types of one service mean that something it needs is away.",
        queries: [
          q(
            rate("bodega_messages_total", 'outcome=~"retried|parked"', "service, type, outcome"),
            "{{service}} {{type}} {{outcome}}",
          ),
        ],
        runbook: "MessagesParked",
      },
      {
        title: "Published",
        unit: "ops",
        tells: "Facts that relays took out of the outboxes. A service that is missing here has no relay at work.",
        queries: [q(rate("bodega_facts_published_total", "", "service"), "{{service}}")],
        runbook: "OutboxBehind",
      },
      {
        title: "From told to handled",
        unit: "s",
        tells: "Of facts and jobs, by the service that handles them. Bad: one service far above the others.",
        queries: quantiles("bodega_message_delay_seconds", "", "service"),
        runbook: "JobsBehind",
      },
      {
        title: "Who calls whom",
        unit: "reqps",
        tells: "From traces: an arrow that is missing is a service that nobody reaches.",
        queries: [
          q(
            "sum by (client, server) (rate(traces_service_graph_request_total[$__rate_interval]))",
            "{{client}} → {{server}}",
          ),
        ],
      },
    ],
    traces: '{ span.bodega.outcome = "parked" }',
  },
  {
    uid: "bodega-service",
    title: "One service",
    about: "Whatever there is to know of one service; choose it above.",
    variable: { name: "service", metric: "bodega_rpc_duration_seconds_count" },
    panels: [
      {
        title: "Calls",
        unit: "reqps",
        tells: "By method and answer.",
        queries: [
          q(rate("bodega_rpc_duration_seconds_count", 'service="$service"', "method, code"), "{{method}} {{code}}"),
        ],
      },
      {
        title: "How long calls take",
        unit: "s",
        tells: "Bad: one method that leaves the others behind.",
        queries: quantiles("bodega_rpc_duration_seconds", 'service="$service"', "method"),
      },
      {
        title: "Messages",
        unit: "ops",
        tells: "Facts heard and jobs done, by outcome.",
        queries: [q(rate("bodega_messages_total", 'service="$service"', "type, outcome"), "{{type}} {{outcome}}")],
        quiet: true,
      },
      {
        title: "What waits in its database",
        unit: "short",
        tells: "Outbox and due come back to zero; parked is zero.",
        queries: [q('max by (kind) (bodega_backlog{service="$service"})', "{{kind}}")],
        runbook: "MessagesParked",
        quiet: true,
      },
    ],
    logs: '{service_name="$service"}',
    traces: '{ resource.service.name = "$service" }',
  },
  {
    uid: "bodega-runtime",
    title: "Runtime",
    about: "The processes: have they time, memory, and the right time of day?",
    panels: [
      {
        title: "CPU",
        unit: "percentunit",
        tells: "Of one core. Bad: near 1, because a process has only one.",
        queries: [q("sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))", "{{instance}}")],
      },
      {
        title: "Memory",
        unit: "bytes",
        tells: "Resident. Bad: it grows for hours and never falls.",
        queries: [q("max by (instance) (process_resident_memory_bytes)", "{{instance}}")],
      },
      {
        title: "Event loop lag",
        unit: "s",
        tells: "How long the process answers nobody, at worst one time in a hundred. Bad: above half a second.",
        queries: [q("max by (instance) (nodejs_eventloop_lag_p99_seconds)", "{{instance}}")],
        runbook: "EventLoopBlocked",
      },
      {
        title: "Clock",
        unit: "s",
        tells:
          "Ahead of the database's. Nothing is decided by it, but people read log lines by it. Bad: more than a second.",
        queries: [q("max by (instance) (bodega_clock_skew_seconds)", "{{instance}}")],
        runbook: "ClockOff",
      },
      {
        title: "Facts may come again for",
        unit: "s",
        tells: "By topic of Kafka. Bad: more than the 45 days that inboxes remember.",
        queries: [q("max by (topic) (bodega_facts_repeat_seconds)", "{{topic}}")],
        runbook: "FactsKeptTooLong",
      },
      {
        title: "Claims that were lost",
        unit: "ops",
        tells: "Workers that were slower than their lease. Nothing is done twice, but something is too slow.",
        queries: [q(rate("bodega_stale_claims_total", "", "service, type"), "{{service}} {{type}}")],
        runbook: "ClaimsLost",
        quiet: true,
      },
    ],
  },
];
