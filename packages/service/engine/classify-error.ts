import { Code, ConnectError } from "@connectrpc/connect";
import { errorCode, isOutage, isTooSlow } from "../../database/database.ts";
import { OUTCOME_UNKNOWN, reasonOf } from "../errors.ts";
import type { Trouble } from "../retry-policies.ts";

const OF_CODE: Partial<Record<Code, Trouble | "never">> = {
  [Code.InvalidArgument]: "never",
  [Code.NotFound]: "early",
  [Code.FailedPrecondition]: "early",
  [Code.Unavailable]: "away",
  [Code.DeadlineExceeded]: "away",
  [Code.ResourceExhausted]: "away",
  [Code.Aborted]: "away",
  [Code.Canceled]: "away",
};

/** Errors of Node, Bun and undici beneath HTTP and SMTP. */
const NETWORK = /^(E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_|DNS|SOCKET)|Connection|FailedToOpenSocket|UND_ERR)/;
/** PostgreSQL's deadlock and serialization failure: whoever else it was is done soon. */
const CONTENTION = /^40/;
const CUT_OFF = new Set(["AbortError", "TimeoutError"]);

export function classifyError(error: unknown): Trouble | "never" {
  if (error instanceof ConnectError)
    return reasonOf(error) === OUTCOME_UNKNOWN ? "unknown" : (OF_CODE[error.code] ?? "bug");
  if (isTooSlow(error)) return "slow";
  const code = errorCode(error) ?? "";
  if (isOutage(error) || NETWORK.test(code) || CONTENTION.test(code)) return "away";
  return error instanceof Error && CUT_OFF.has(error.name) ? "away" : "bug";
}
