import { Code, type ConnectError } from "@connectrpc/connect";
import { gcra } from "../../../packages/locks/embedded.ts";
import type { Budget } from "../../../packages/locks/locks.ts";
import { refused } from "../../../packages/service/errors.ts";

/** All that one network may ask, whatever it is. Far above what people do: the budgets of routes are for them. */
const DOOR: Budget = { perSecond: 1_000, burst: 2_000 };
const NETWORKS_MAX = 20_000;

/**
 * What every request passes before anything of it is looked at: 404, 415 and malformed ones cost too, and come before the budgets of routes. It counts in this
 * process, because it has to be cheaper than what it spares. The refusal of a network that has used up its budget; undefined for who may come in.
 */
export type Door = (network: string) => ConnectError | undefined;

export function createDoor(nowMs: () => number, budget: Budget = DOOR): Door {
  /** When each network's budget is whole again. */
  const arrivals = new Map<string, number>();

  function sweep(now: number) {
    for (const [network, at] of arrivals) if (at <= now) arrivals.delete(network);
    // As many networks at once are an attack: all begin anew.
    if (arrivals.size >= NETWORKS_MAX) arrivals.clear();
  }

  return (network) => {
    const now = nowMs();
    if (arrivals.size >= NETWORKS_MAX) sweep(now);
    const { verdict, arrival } = gcra(now, arrivals.get(network) ?? now, budget);
    arrivals.set(network, arrival);
    if (verdict.allowed) return undefined;
    const says = `this network may ask ${budget.perSecond} times a second, ${budget.burst} at once`;
    return refused(Code.ResourceExhausted, "RATE_LIMITED", says, verdict.retryAfterMs);
  };
}
