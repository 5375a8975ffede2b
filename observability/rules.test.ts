import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ALERTS } from "./alerts.ts";
import { BOARDS } from "./boards.ts";
import { staleObservability } from "./generate.ts";
import { alertNames, burnName, ruleFiles } from "./rules.ts";
import { SLOS, type Slo } from "./slos.ts";

setDefaultTimeout(120_000);
const promtool = Bun.which("promtool");
const folder = mkdtempSync(join(tmpdir(), "bodega-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Of each promise one series of bad events and one of good ones; both count among all. */
const EVENTS: Record<string, { bad: string[]; good: string[] }> = {
  "placing-availability": {
    bad: ['bodega_rpc_duration_seconds_count{service="order",method="PlaceOrder",code="Unavailable"}'],
    good: [
      'bodega_rpc_duration_seconds_count{service="order",method="PlaceOrder",code="ok"}',
      'bodega_rpc_duration_seconds_count{service="order",method="PlaceOrder",code="ResourceExhausted"}',
    ],
  },
  "placing-latency": slowAndQuick(
    "bodega_rpc_duration_seconds",
    'service="order",method="PlaceOrder",code="ok"',
    "0.25",
  ),
  "timers-on-time": slowAndQuick("bodega_message_delay_seconds", 'service="order",type="order.payment-deadline"', "10"),
  "stock-freshness": slowAndQuick("bodega_message_delay_seconds", 'service="stock",type="order.created"', "5"),
  "statistics-freshness": slowAndQuick("bodega_message_delay_seconds", 'service="activity",type="order.paid"', "60"),
  "mail-delivery": slowAndQuick("bodega_message_delay_seconds", 'service="mail",type="mail.deliver"', "60.0"),
  canary: {
    bad: ['bodega_canary_probes_total{outcome="late"}'],
    good: ['bodega_canary_probes_total{outcome="delivered"}'],
  },
};

/** A histogram's slow events are in its count only. Another instance has the quick ones. */
function slowAndQuick(metric: string, labels: string, le: string) {
  return {
    bad: [`${metric}_count{${labels},instance="slow"}`],
    good: [`${metric}_count{${labels},instance="quick"}`, `${metric}_bucket{${labels},instance="quick",le="${le}"}`],
  };
}

const bodega = (kind: string) => `bodega_backlog${kind}`;
function trouble(part: string) {
  return { series: `bodega_part_troubles{part="${part}",instance="order:9091"}`, well: "0", ill: "1" };
}
/** What makes each cause's alert fire: a series, how it is in a healthy shop, and how it is with the fault. */
const CAUSES: Record<string, { series: string; well: string; ill: string }> = {
  ServiceDown: { series: 'up{job="bodega",instance="order:9091"}', well: "1", ill: "0" },
  DatabaseAway: { series: 'bodega_database_answers{service="order"}', well: "1", ill: "0" },
  BrokerAway: { series: 'bodega_part_answers{part="jobs",instance="order:9091"}', well: "1", ill: "0" },
  BrokerStrained: trouble("events"),
  SlotBehind: trouble("slots"),
  DatabaseStrained: trouble("postgresql"),
  DiskFull: trouble("disk"),
  RedisAway: { series: 'bodega_part_answers{part="locks",instance="gateway:9091"}', well: "1", ill: "0" },
  CertificateExpires: trouble("certificate"),
  MessagesParked: { series: `${bodega("")}{kind="parked",service="stock"}`, well: "0", ill: "2" },
  OutboxBehind: { series: `${bodega("_oldest_seconds")}{kind="outbox",service="order"}`, well: "1", ill: "90" },
  JobsBehind: { series: `${bodega("_oldest_seconds")}{kind="due",service="mail"}`, well: "2", ill: "200" },
  ReconciliationDiffers: {
    series: 'bodega_reconcile_differences{service="payment",problem="amount"}',
    well: "0",
    ill: "1",
  },
  CanaryDoubled: { series: 'bodega_canary_sums{state="duplicated"}', well: "0", ill: "1" },
  CanaryMissing: { series: "bodega_canary_oldest_undelivered_seconds", well: "0.2", ill: "75" },
  ClaimsLost: { series: 'bodega_stale_claims_total{service="mail",type="mail.deliver"}', well: "4", ill: "" },
  ClockOff: { series: 'bodega_clock_skew_seconds{instance="order:9091"}', well: "-0.01", ill: "-3" },
  FactsKeptTooLong: {
    series: 'bodega_facts_repeat_seconds{topic="order",instance="stock:9091"}',
    well: "3196800",
    ill: "Inf",
  },
  EventLoopBlocked: { series: 'nodejs_eventloop_lag_p99_seconds{instance="order:9091"}', well: "0.01", ill: "0.8" },
  ManyRefused: { series: 'bodega_rate_limited_total{route="all"}', well: "4", ill: "" },
};
/** Counters are ill when they grow: by this much a minute. */
const GROWTH = 200;
const WELL_MINUTES = 30;
const ILL_MINUTES = 30;
const AFTER_MINUTES = 60;

const constant = (value: string, minutes: number) => `${value}+0x${minutes}`;

function causeTest(alert: string) {
  const { series, well, ill } = CAUSES[alert] ?? { series: "", well: "", ill: "" };
  const grown = Number(well) + GROWTH * ILL_MINUTES;
  const sick = ill === "" ? `${well}+${GROWTH}x${ILL_MINUTES}` : constant(ill, ILL_MINUTES);
  const again = ill === "" ? constant(String(grown), AFTER_MINUTES) : constant(well, AFTER_MINUTES);
  return {
    interval: "1m",
    input_series: [{ series, values: [constant(well, WELL_MINUTES), sick, again].join(" ") }],
    promql_expr_test: [
      firing(alert, WELL_MINUTES - 1, false),
      firing(alert, WELL_MINUTES + ILL_MINUTES - 1, true),
      firing(alert, WELL_MINUTES + ILL_MINUTES + AFTER_MINUTES - 5, false),
    ],
  };
}

/** Ten events a minute for ten hours. With the fault, half of them are bad between the second and the fourth. */
function burnTest(slo: string, alert: string) {
  const { bad, good } = EVENTS[slo] ?? { bad: [], good: [] };
  const hour = 60;
  const series = [
    ...good.map((each) => ({ series: each, values: `0+10x${2 * hour} 1200+5x${2 * hour} 1800+10x${6 * hour}` })),
    ...bad.map((each) => ({ series: each, values: `0+0x${2 * hour} 0+5x${2 * hour} 600+0x${6 * hour}` })),
  ];
  return {
    interval: "1m",
    input_series: series,
    promql_expr_test: [
      firing(alert, 2 * hour - 1, false, 'severity="page"'),
      firing(alert, 3 * hour, true, 'severity="page"'),
      firing(alert, 3 * hour, true, 'severity="page",window="1h"'),
      firing(alert, 6 * hour, false, 'severity="page"'),
      firing(alert, 6 * hour, true, 'severity="ticket"'),
    ],
  };
}

function firing(alert: string, minute: number, fires: boolean, more = "") {
  return {
    expr: `count(ALERTS{alertname="${alert}",alertstate="firing"${more && `,${more}`}}) > bool 0`,
    eval_time: `${minute}m`,
    exp_samples: fires ? [{ labels: "{}", value: 1 }] : [],
  };
}

/** An outage of half an hour after a good hour; and an hour that burns too slowly for the page about an hour. */
function fastAndSlow(slo: Slo) {
  const alert = burnName(slo);
  const { bad, good } = EVENTS[slo.name] ?? { bad: [], good: [] };
  const [hour, outage] = [60, 30];
  const made = (series: string[], values: string) => series.map((each) => ({ series: each, values }));
  const fast = [
    ...made(good, `0+100x${hour} ${100 * hour}+0x${outage} ${100 * hour}+100x${hour}`),
    ...made(bad, `0+0x${hour} 0+100x${outage} ${100 * outage}+0x${hour}`),
  ];
  // Of a thousand, thirteen times as many as may be: where two series are good, half of that.
  const few = Math.round(1_000 * 13 * (1 - slo.objective));
  const slow = [...made(good, `0+${1_000 - few}x${hour}`), ...made(bad, `0+${few}x${hour}`)];
  const minutes = Array.from({ length: outage + hour }, (_, minute) => hour + minute);
  return [
    {
      interval: "1m",
      input_series: fast,
      promql_expr_test: [
        firing(alert, hour + outage, true, 'severity="page",window="1h"'),
        ...minutes.map((minute) => firing(alert, minute, false, 'severity="page",window="6h"')),
      ],
    },
    {
      interval: "1m",
      input_series: slow,
      promql_expr_test: [
        firing(alert, hour, false, 'severity="page",window="1h"'),
        firing(alert, hour, true, 'severity="page",window="6h"'),
      ],
    },
  ];
}

async function promtoolTest(tests: object[], files: Record<string, string>, every = "5m"): Promise<string> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const file = join(folder, "tests.yml");
  writeFileSync(file, JSON.stringify({ rule_files: Object.keys(files), evaluation_interval: every, tests }));
  const child = Bun.spawn([promtool ?? "promtool", "test", "rules", file], { stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return (await child.exited) === 0 ? "passed" : said.join("");
}

describe.skipIf(!promtool)(promtool ? "by promtool" : "promtool is not installed: apt-get install prometheus", () => {
  test("each cause's alert fires by its fault, resolves after it, and is silent before", async () => {
    expect(ALERTS.map(({ name }) => name).toSorted()).toEqual(Object.keys(CAUSES).toSorted());
    expect(await promtoolTest(Object.keys(CAUSES).map(causeTest), ruleFiles())).toBe("passed");
  });

  test("a service of which nothing is left to be asked is one that does not answer", async () => {
    const up = (service: string, values: string) => ({
      series: `up{job="bodega",service="${service}",instance="${service}:9091"}`,
      values,
    });
    const gone = {
      interval: "1m",
      input_series: [up("order", "1x120"), up("points", `1x${WELL_MINUTES} stale _x${ILL_MINUTES} 1x${AFTER_MINUTES}`)],
      promql_expr_test: [
        firing("ServiceDown", WELL_MINUTES - 1, false),
        firing("ServiceDown", WELL_MINUTES + ILL_MINUTES - 1, true, 'service="points"'),
        firing("ServiceDown", WELL_MINUTES + ILL_MINUTES - 1, false, 'service="order"'),
        firing("ServiceDown", WELL_MINUTES + ILL_MINUTES + AFTER_MINUTES - 5, false),
      ],
    };
    expect(await promtoolTest([gone], ruleFiles())).toBe("passed");
  });

  test("each promise's alert pages while it burns fast, resolves soon after, and leaves a ticket behind", async () => {
    expect(SLOS.map(({ name }) => name).toSorted()).toEqual(Object.keys(EVENTS).toSorted());
    const tests = SLOS.map((slo) => burnTest(slo.name, burnName(slo)));
    expect(await promtoolTest(tests, ruleFiles())).toBe("passed");
  });

  test("what burned fast was told of then, and is not told of again by the page about slow burning", async () => {
    const files = ruleFiles();
    expect(await promtoolTest(SLOS.flatMap(fastAndSlow), files, "1m")).toBe("passed");
    const forgetful = { ...files, "slos.yml": (files["slos.yml"] ?? "").replaceAll(/ unless on \(\) [^"]+/g, "") };
    expect(await promtoolTest(SLOS.slice(0, 1).flatMap(fastAndSlow), forgetful, "1m")).not.toBe("passed");
  });

  test("a metric that was renamed, and a threshold that is never reached, are noticed", async () => {
    const files = ruleFiles();
    const causes = files["causes.yml"] ?? "";
    const renamed = { ...files, "causes.yml": causes.replaceAll("bodega_backlog{", "bodega_backlogs{") };
    expect(await promtoolTest([causeTest("MessagesParked")], renamed)).not.toBe("passed");
    const deaf = { ...files, "slos.yml": (files["slos.yml"] ?? "").replaceAll(/> 0\.\d+/g, "> 1") };
    expect(await promtoolTest([burnTest("canary", "CanaryBurns")], deaf)).not.toBe("passed");
  });
});

test("what follows from another alert and goes on for a while ends before that one does", () => {
  const minutes = (keep = "0m") => Number.parseInt(keep, 10);
  const kept = (symptom: boolean) =>
    ALERTS.filter((alert) => alert.keep && (alert.symptom ?? false) === symptom).map(({ keep }) => minutes(keep));
  expect(Math.max(...kept(true))).toBeLessThan(Math.min(...kept(false)));
});

test("every alert has a page, and every panel's page is an alert's", () => {
  const pages = alertNames().map((name) => `docs/runbooks/${name}.md`);
  expect(pages.filter((page) => !existsSync(page))).toEqual([]);
  const linked = BOARDS.flatMap(({ panels }) => panels.flatMap(({ runbook }) => runbook ?? []));
  expect(linked.filter((name) => !alertNames().includes(name))).toEqual([]);
});

test("every panel says what bad looks like, in a unit", () => {
  for (const { title, panels } of BOARDS)
    for (const panel of panels) {
      expect(`${title}: ${panel.title}: ${panel.tells}`).toMatch(/\.$/);
      expect(panel.unit).not.toBe("none");
    }
});

test("what Grafana and Prometheus read is what the TypeScript says", async () => {
  expect(await staleObservability()).toEqual([]);
});
