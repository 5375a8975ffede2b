// Prometheus' rules from the goals and the causes. Written to observability/prometheus/rules by `bun run observe generate`.
import { ALERTS } from "./alerts.ts";
import { BURNS, SLOS, type Slo } from "./slos.ts";

interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  for?: string;
  keep_firing_for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

const WINDOWS = [...new Set(BURNS.flatMap(({ long, short }) => [long, short]))];
const RUNBOOKS = "docs/runbooks";

/** Files by name. */
export function ruleFiles(): Record<string, string> {
  return {
    "slos.yml": rulesFile(
      SLOS.map((slo) => ({ name: `slo-${slo.name}`, rules: [...ratios(slo), ...burnAlerts(slo)] })),
    ),
    "causes.yml": rulesFile([
      {
        name: "causes",
        rules: ALERTS.map(({ name, severity, symptom, expr, for: pending, keep, summary }) => ({
          alert: name,
          expr,
          for: pending,
          ...(keep && { keep_firing_for: keep }),
          labels: { severity, level: symptom ? "symptom" : "cause" },
          annotations: { summary, runbook: `${RUNBOOKS}/${name}.md` },
        })),
      },
    ]),
  };
}

/** Every alert there is, by name. */
export function alertNames(): string[] {
  return [...ALERTS.map(({ name }) => name), ...SLOS.map(burnName)];
}

/** The share of bad events, for each window that an alert looks at. Without events nothing is bad, and nothing is recorded. */
function ratios(slo: Slo): Rule[] {
  return WINDOWS.map((window) => ({
    record: `slo:bad_ratio:rate${window}`,
    expr: `1 - (${over(slo.good, window)} / (${over(slo.all, window)} > 0))`,
    labels: { slo: slo.name },
  }));
}

function burnAlerts(slo: Slo): Rule[] {
  const budget = round(1 - slo.objective);
  return BURNS.map(({ severity, long, short, factor, for: pending, silentAfter }) => {
    const above = (window: string) => `slo:bad_ratio:rate${window}{slo="${slo.name}"} > ${round(factor * budget)}`;
    const burns = `${above(long)} and ${above(short)}`;
    const told = `ALERTS{alertname="${burnName(slo)}",window!="${long}",severity="page",alertstate="firing"}`;
    return {
      alert: burnName(slo),
      expr: silentAfter ? `${burns} unless on () max_over_time(${told}[${silentAfter}])` : burns,
      for: pending,
      labels: { severity, level: "symptom", slo: slo.name, window: long },
      annotations: {
        summary: `${slo.promise}: {{ $value | humanizePercentage }} was not so in ${long}, ${budget * 100} % may be in a month`,
        runbook: `${RUNBOOKS}/${burnName(slo)}.md`,
      },
    };
  });
}

/** placing-latency is PlacingLatencyBurns. */
export function burnName({ name }: Slo): string {
  const words = name.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join("")}Burns`;
}

function over(series: string, window: string): string {
  return series.replaceAll("$window", window);
}

function round(share: number): number {
  return Number(share.toPrecision(6));
}

/** JSON is YAML; one rule a line reads best in a diff. */
function rulesFile(groups: { name: string; rules: Rule[] }[]): string {
  const text = groups.map(
    ({ name, rules }) =>
      `  - name: ${name}\n    rules:\n${rules.map((rule) => `      - ${JSON.stringify(rule)}`).join("\n")}`,
  );
  return `# Generated from observability/slos.ts and alerts.ts: bun run observe generate\ngroups:\n${text.join("\n")}\n`;
}
