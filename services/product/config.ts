import { type Environment, readSwitch } from "../../packages/service/variables.ts";

export interface ProductConfig {
  /** Whether the first start makes demo products. */
  demo: boolean;
}

export function readConfig(env: Environment): ProductConfig {
  return { demo: readSwitch(env, "DEMO", true) };
}
