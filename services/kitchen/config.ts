import { type Environment, readSwitch } from "../../packages/service/variables.ts";

export interface KitchenConfig {
  /** Simulated staff works the tickets. */
  staff: boolean;
}

export function readConfig(env: Environment): KitchenConfig {
  return { staff: readSwitch(env, "KITCHEN_STAFF", true) };
}
