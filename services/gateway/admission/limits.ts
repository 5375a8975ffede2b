import { type DescMethod, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { access } from "../../../packages/api/gen/bodega/type/v1/access_pb.ts";
import type { Budget, Locks, Verdict } from "../../../packages/locks/locks.ts";
import type { Verifier } from "../../../packages/service/caller.ts";
import { authorize, bearer, identify, isForAnyone } from "../../../packages/service/caller.ts";
import { refused } from "../../../packages/service/errors.ts";
import { NETWORK_HEADER } from "../../../packages/service/wire/rpc.ts";
import { contextIn, withContext } from "../../../packages/telemetry/context.ts";
import type { Log } from "../../../packages/telemetry/log.ts";
import type { Metrics } from "../../../packages/telemetry/metrics.ts";

/** Per caller and route: a signed-in user, else a network. */
const BUDGET: Budget = { perSecond: 200, burst: 600 };

/** Routes with a budget of their own. Those that hash passwords or send mail are dear; a flash sale must not trip over its own customers. */
export const BUDGETS: Record<string, Budget> = {
  "bodega.auth.v1.AuthService/Register": { perSecond: 10, burst: 100 },
  "bodega.auth.v1.AuthService/Login": { perSecond: 10, burst: 100 },
  "bodega.auth.v1.AuthService/CompleteLogin": { perSecond: 10, burst: 100 },
  "bodega.auth.v1.AuthService/VerifyEmail": { perSecond: 10, burst: 100 },
  "bodega.auth.v1.AuthService/ResendVerification": { perSecond: 5, burst: 50 },
  "bodega.auth.v1.AuthService/RequestPasswordReset": { perSecond: 5, burst: 50 },
  "bodega.auth.v1.AuthService/ResetPassword": { perSecond: 10, burst: 100 },
  "bodega.auth.v1.AuthService/Refresh": { perSecond: 20, burst: 200 },
  "bodega.order.v1.OrderService/PlaceOrder": { perSecond: 200, burst: 400 },
};

/** Of what has no access rule, which is reflection: a tool asks once. */
const SCHEMA_BUDGET: Budget = { perSecond: 5, burst: 50 };

/** Takes one call from its caller's budget: sets the answer's headers, refuses with RESOURCE_EXHAUSTED when nothing is left. */
export type Limit = (method: DescMethod, headers: Headers, answer: Headers) => Promise<void>;

export interface LimitPorts {
  locks: Locks;
  verifier: Verifier;
  metrics: Pick<Metrics, "limited">;
  /** Budgets by "package.Service/Method"; the table above by default. */
  budgets?: Record<string, Budget>;
}

export function createLimit({ locks, verifier, metrics, budgets = BUDGETS }: LimitPorts): Limit {
  return async (method, headers, answer) => {
    const route = `${method.parent.typeName}/${method.name}`;
    const caller = await callerOf(verifier, method, headers);
    const budget = budgets[route] ?? (hasOption(method, access) ? BUDGET : SCHEMA_BUDGET);
    const verdict = await locks.take(`limit:${route}:${caller}`, budget);
    describe(answer, method.name, budget, verdict);
    if (verdict.allowed) return;
    metrics.limited.inc({ route });
    const message = `${method.name} may be called ${budget.perSecond} times a second, ${budget.burst} at once: try again in ${verdict.retryAfterMs} ms`;
    throw refused(Code.ResourceExhausted, "RATE_LIMITED", message, verdict.retryAfterMs);
  };
}

/**
 * A user, else a network. A token that cannot be verified counts for its network, so guessing tokens buys no new budget; the call itself verifies again and
 * says why. What strangers may call counts for the network whoever calls: else a thousand accounts would be a thousand budgets of mails and password checks.
 */
async function callerOf(verifier: Verifier, method: DescMethod, headers: Headers): Promise<string> {
  const network = `network:${headers.get(NETWORK_HEADER) ?? ""}`;
  if (isForAnyone(method)) return network;
  try {
    const token = bearer(headers);
    return token ? `user:${(await verifier.verify(token)).userId}` : network;
  } catch {
    return network;
  }
}

/** draft-ietf-httpapi-ratelimit-headers, and the three older headers that more clients read. */
function describe(
  answer: Headers,
  name: string,
  budget: Budget,
  { allowed, remaining, retryAfterMs, resetAfterMs }: Verdict,
): void {
  const reset = seconds(resetAfterMs);
  answer.set("ratelimit-policy", `"${name}";q=${budget.burst};w=${Math.ceil(budget.burst / budget.perSecond)}`);
  answer.set("ratelimit", `"${name}";r=${remaining};t=${reset}`);
  answer.set("ratelimit-limit", String(budget.burst));
  answer.set("ratelimit-remaining", String(remaining));
  answer.set("ratelimit-reset", String(reset));
  if (!allowed) answer.set("retry-after", String(Math.max(1, seconds(retryAfterMs))));
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}

export interface EntryPorts {
  limit: Limit;
  verifier: Verifier;
  log: Log;
  metrics: Pick<Metrics, "rpc">;
}

/**
 * Lets a call in, or refuses it, before anything of its message is read: first by the caller's budget, then by whom the RPC is for. Every service looks at
 * its caller again; this only spares the reading of what is refused anyway.
 */
export function createEntry({ limit, verifier, log, metrics }: EntryPorts): Limit {
  return async (method, headers, answer) => {
    await limit(method, headers, answer);
    // Reflection has no rule. One of ours without one is refused by its service.
    if (!hasOption(method, access)) return;
    try {
      const caller = await identify(verifier, method, headers);
      authorize(caller);
      // A token that is taken for none goes no further: the service would look at it by another rule.
      if (!caller.token) headers.delete("authorization");
    } catch (error) {
      // What else goes wrong here goes wrong in the call too, which tells it.
      if (!isRefusal(error)) return;
      const code = Code[error.code] ?? "";
      metrics.rpc("gateway", method.name, code, 0);
      const context = contextIn(headers);
      withContext(context, () => log.info("rpc.refused", { rpc: method.name, code, message: error.rawMessage }));
      throw error;
    }
  };
}

function isRefusal(error: unknown): error is ConnectError {
  return error instanceof ConnectError && (error.code === Code.Unauthenticated || error.code === Code.PermissionDenied);
}
