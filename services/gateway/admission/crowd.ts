import { Code } from "@connectrpc/connect";
import { refused } from "../../../packages/service/errors.ts";
import type { Metrics } from "../../../packages/telemetry/metrics.ts";

/** What a process has under way at one time. At the rate it can keep up, that many are answered in about half a second. */
const UNDER_WAY_MAX = 1_024;
const RETRY_MS = 1_000;
const RPC_OR_REST = /^\/(?:v1\/|[\w.]+\.v\d+\.\w+\/\w+$)/;

/** Refuses what comes on top of all that is under way, before anything of it is read: who cannot be served in time costs those next to nothing who can. */
export interface Crowd {
  /** Throws RESOURCE_EXHAUSTED, or gives what is to be called when the call has been answered. */
  enter(): () => void;
}

export function createCrowd(metrics: Pick<Metrics, "limited">, underWayMax = UNDER_WAY_MAX): Crowd {
  let underWay = 0;
  const leave = () => {
    underWay -= 1;
  };
  return {
    enter() {
      if (underWay >= underWayMax) {
        metrics.limited.inc({ route: "all" });
        throw refused(
          Code.ResourceExhausted,
          "OVERLOADED",
          `${underWayMax} calls are under way, which is as many as may be: call again in ${RETRY_MS} ms`,
          RETRY_MS,
        );
      }
      underWay += 1;
      return leave;
    },
  };
}

/** Health, keys, pages and webhooks are answered whatever the crowd. */
export function isCall(path: string): boolean {
  return RPC_OR_REST.test(path);
}
