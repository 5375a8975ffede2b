import { SumCalculated } from "../../packages/api/facts.ts";
import { CanaryService } from "../../packages/api/gen/bodega/canary/v1/canary_pb.ts";
import { forever, until } from "../../packages/database/retention.ts";
import { answers, onMany, service } from "../../packages/service/service.ts";
import type { Environment } from "../../packages/service/variables.ts";
import { calculateSum } from "./calculate-sum.ts";
import { type CanaryConfig, readConfig } from "./config.ts";
import { getTotals, measureTotals } from "./get-totals.ts";
import { onSumCalculated } from "./on-sum-calculated.ts";
import { createProbe } from "./probe.ts";
import { settleOldSums } from "./settle-sums.ts";

/** The synthetic transaction, and the meter of what was lost or doubled. */
export function canary(env: Environment) {
  const config = readConfig(env);
  return service<CanaryConfig>({
    name: "canary",
    config,
    migrations: new URL("./migrations/", import.meta.url),
    keeps: [
      until("sums", "they have arrived once and are an hour old", "what is missing or doubled stays to be looked at"),
      until("arrivals", "their sum goes", "what is missing or doubled stays to be looked at"),
      forever("settled", "one row"),
    ],
    answers: [answers(CanaryService, { calculateSum, getTotals })],
    hears: [onMany(SumCalculated, onSumCalculated)],
    does: [],
    schedules: [
      { name: "settle sums", everyMs: 10 * 60_000, run: settleOldSums },
      ...(config.probe ? [{ name: "probe", everyMs: config.probe.everyMs, run: createProbe() }] : []),
    ],
    starts: async (app) => app.metrics.onScrape(() => measureTotals(app)),
  });
}
