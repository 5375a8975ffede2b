import { type DescMethod, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { access } from "../../packages/api/gen/bodega/type/v1/access_pb.ts";
import { authorize, identify } from "../../packages/service/caller.ts";
import type { Verifier } from "../../packages/service/tokens.ts";
import { contextFrom, withContext } from "../../packages/telemetry/context.ts";
import type { Log } from "../../packages/telemetry/log.ts";
import type { Metrics } from "../../packages/telemetry/metrics.ts";
import type { Limit } from "./limits.ts";

export interface EntryPorts {
  limit: Limit;
  verifier: Verifier;
  log: Log;
  metrics: Pick<Metrics, "rpcSeconds">;
}

/** Lets a call in, or refuses it, before anything of its message is read; may set headers of the answer. */
export type Entry = (method: DescMethod, headers: Headers, answer: Headers) => Promise<void>;

/** First the caller's budget, then whom the RPC is for. Every service looks at its caller again: this only spares the reading of what is refused anyway. */
export function createEntry({ limit, verifier, log, metrics }: EntryPorts): Entry {
  return async (method, headers, answer) => {
    await limit(method, headers, answer);
    // Reflection has no rule. One of ours without one is refused by its service.
    if (!hasOption(method, access)) return;
    const started = performance.now();
    try {
      authorize(await identify(verifier, method, headers));
    } catch (error) {
      // What else goes wrong here goes wrong in the call too, which tells it.
      if (!isRefusal(error)) return;
      const code = Code[error.code] ?? "";
      const seconds = (performance.now() - started) / 1_000;
      metrics.rpcSeconds.observe({ service: "gateway", method: method.name, code }, seconds);
      const context = contextFrom(headers.get("x-request-id"), headers.get("traceparent"));
      withContext(context, () => log.info("rpc.refused", { rpc: method.name, code, message: error.rawMessage }));
      throw error;
    }
  };
}

function isRefusal(error: unknown): error is ConnectError {
  return error instanceof ConnectError && (error.code === Code.Unauthenticated || error.code === Code.PermissionDenied);
}
