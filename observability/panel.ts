/** A picture of one thing. Every series is labelled by what `legend` names. */
export interface Panel {
  title: string;
  unit: Unit;
  /** What is good, and what bad looks like. */
  tells: string;
  queries: Query[];
  /** The alert whose runbook helps when it looks bad. */
  runbook?: string;
  /** One big number instead of lines. */
  number?: true;
  /** Nothing to see is what a healthy shop shows. */
  quiet?: true;
}

/** Grafana's names of units. */
export type Unit = "s" | "reqps" | "ops" | "short" | "percentunit" | "bytes" | "none";

export interface Query {
  expr: string;
  legend: string;
}

export interface Board {
  uid: string;
  title: string;
  about: string;
  panels: Panel[];
  /** A label of `metric` to choose from at the top, as $name. */
  variable?: { name: string; metric: string };
  /** Log lines below the panels. */
  logs?: string;
  /** Traces below the panels, by TraceQL. */
  traces?: string;
}

export const q = (expr: string, legend: string): Query => ({ expr, legend });

/** How often a second a counter goes up, by some of its labels. */
export const rate = (metric: string, selector: string, by: string) =>
  `sum by (${by}) (rate(${metric}{${selector}}[$__rate_interval]))`;

/** The 50th and the 99th hundredth of a histogram. */
export function quantiles(metric: string, selector = "", by = ""): Query[] {
  const rates = `sum by (le${by && `, ${by}`}) (rate(${metric}_bucket{${selector}}[$__rate_interval]))`;
  const label = by && `{{${by}}} `;
  return [
    q(`histogram_quantile(0.5, ${rates})`, `${label}half`),
    q(`histogram_quantile(0.99, ${rates})`, `${label}99 %`),
  ];
}
