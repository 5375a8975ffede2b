import { type Environment, readSecret } from "../../packages/service/variables.ts";
import { createSigner, type Signer } from "./chain.ts";

export interface EventLogConfig {
  signer: Signer;
  /** Months that are kept besides the present one; undefined: all of them, for ever. */
  keepMonths: number | undefined;
}

const MONTHS_MAX = 1_200;

export function readConfig(env: Environment): EventLogConfig {
  return {
    signer: createSigner(readSecret(env, "EVENTLOG_SECRET")),
    keepMonths: readMonths(env["EVENTLOG_KEEP_MONTHS"] ?? ""),
  };
}

function readMonths(text: string): number | undefined {
  if (!text) return undefined;
  if (!/^\d{1,4}$/.test(text) || Number(text) < 1 || Number(text) > MONTHS_MAX)
    throw new Error(`EVENTLOG_KEEP_MONTHS must be a number of months from 1 to ${MONTHS_MAX}, found ${text}`);
  return Number(text);
}
