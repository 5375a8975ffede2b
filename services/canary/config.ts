import { type Environment, readDuration, readPort } from "../../packages/service/variables.ts";

export interface CanaryConfig {
  /** How often the standing probe asks for a sum, and where; undefined: it does not. */
  probe: { everyMs: number; edgeUrl: string } | undefined;
}

const EVERY_MS_MIN = 100;

export function readConfig(env: Environment): CanaryConfig {
  const everyMs = readDuration(env, "CANARY_EVERY", EVERY_MS_MIN);
  if (everyMs === undefined) return { probe: undefined };
  return { probe: { everyMs, edgeUrl: readEdge(env) } };
}

/** Where the edge is for a probe: as customers see it, unless it is told another way. */
function readEdge(env: Environment): string {
  const port = readPort(env, "PORT", 8080);
  const url = env["CANARY_URL"] || env["PUBLIC_URL"] || `http://127.0.0.1:${port}`;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Error(`CANARY_URL must be the http:// or https:// address of the edge, found ${url}`);
  return url.replace(/\/$/, "");
}
