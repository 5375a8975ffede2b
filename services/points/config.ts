import { isCurrency } from "../../packages/api/money.ts";
import type { Environment } from "../../packages/service/variables.ts";

export interface PointsConfig {
  /** ISO 4217: the one currency in which points are earned and spent, one point for one minor unit. */
  currency: string;
}

export function readConfig(env: Environment): PointsConfig {
  const currency = env["POINTS_CURRENCY"] || "EUR";
  if (!isCurrency(currency))
    throw new Error(`POINTS_CURRENCY must be a currency of ISO 4217, such as EUR, found ${currency}`);
  return { currency };
}
