// What is promised, and whether it holds.
import { type Board, q } from "../panel.ts";
import { burnName } from "../rules.ts";
import { SLOS } from "../slos.ts";

export const PROMISES: Board[] = [
  {
    uid: "bodega-slos",
    title: "Promises",
    about: "What is promised, and how much of the month's allowance for breaking it is being used.",
    panels: SLOS.map((slo) => ({
      title: slo.name,
      unit: "percentunit" as const,
      tells: `${slo.promise}. Bad in the last hour and in the last six; above ${((1 - slo.objective) * 100).toPrecision(2)} % for long, the promise is broken.`,
      queries: [
        q(`slo:bad_ratio:rate1h{slo="${slo.name}"}`, "last hour"),
        q(`slo:bad_ratio:rate6h{slo="${slo.name}"}`, "last six hours"),
      ],
      runbook: burnName(slo),
      quiet: true as const,
    })),
  },
  {
    uid: "bodega-canary",
    title: "Canary",
    about:
      "The platform's own orders: sums that it asks of itself. Two zeros say that nothing is lost and nothing doubled.",
    panels: [
      {
        title: "Lost",
        unit: "short",
        number: true,
        tells: "Acknowledged and not yet delivered. Zero but for a moment; what stays is lost.",
        queries: [q('max(bodega_canary_sums{state="missing"})', "lost")],
        runbook: "CanaryMissing",
      },
      {
        title: "Doubled",
        unit: "short",
        number: true,
        tells: "Delivered twice with effect. Always zero.",
        queries: [q('max(bodega_canary_sums{state="duplicated"})', "doubled")],
        runbook: "CanaryDoubled",
      },
      {
        title: "Age of the oldest that is missing",
        unit: "s",
        tells: "Bad: above a minute.",
        queries: [q("max(bodega_canary_oldest_undelivered_seconds)", "oldest")],
        runbook: "CanaryMissing",
      },
    ],
  },
];
