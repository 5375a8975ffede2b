import { type Environment, readCount, readSwitch } from "../../packages/service/variables.ts";
import type { Limits } from "./store.ts";

export interface OrderConfig {
  /** How many unpaid orders a customer may have, and how many units in them; null is without limit. */
  limits: Limits;
}

/** Without limits while those of the edge are off: benches place thousands of orders for a few people. */
export function readConfig(env: Environment): OrderConfig {
  const limited = readSwitch(env, "RATE_LIMITS", true);
  const unpaidOrdersMax = readCount(env, "UNPAID_ORDERS_MAX", 500);
  const unpaidUnitsMax = readCount(env, "UNPAID_UNITS_MAX", 5_000);
  return { limits: limited ? { unpaidOrdersMax, unpaidUnitsMax } : { unpaidOrdersMax: null, unpaidUnitsMax: null } };
}
