import { Code, ConnectError } from "@connectrpc/connect";
import { bearer } from "../../packages/service/caller.ts";
import { type Clock, sleep } from "../../packages/service/clock.ts";
import { refused } from "../../packages/service/errors.ts";
import { unlessAborted } from "../../packages/service/http.ts";
import type { Rpc, StreamRpc, UnaryRpc } from "../../packages/service/rpc.ts";
import { unauthenticated, type Verifier } from "../../packages/service/tokens.ts";

export const UNARY_MS_MAX = 10_000;

export interface BoundPorts {
  verifier: Verifier;
  /** The clock that tokens live by. */
  clock: Clock;
  unaryMsMax?: number;
}

/** An RPC that ends: a unary call after ten seconds at most, a stream with its client or its token. */
export function bounded(rpc: Rpc, ports: BoundPorts): Rpc {
  return rpc.kind === "unary" ? boundedUnary(rpc, ports.unaryMsMax ?? UNARY_MS_MAX) : boundedStream(rpc, ports);
}

function boundedUnary(rpc: UnaryRpc, msMax: number): UnaryRpc {
  return {
    ...rpc,
    async call(request, { headers, signal }) {
      const over = linked(signal);
      const late = () =>
        refused(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", `${rpc.method.name} took longer than ${msMax} ms`);
      // Once the call is over the sleep ends early, and a second abort changes nothing.
      void sleep(msMax, over.signal).then(() => over.abort(late()));
      try {
        return await unlessAborted(over.signal, rpc.call(request, { headers, signal: over.signal }));
      } finally {
        over.abort();
      }
    },
  };
}

function boundedStream(rpc: StreamRpc, { verifier, clock }: BoundPorts): StreamRpc {
  return {
    ...rpc,
    async *call(request, { headers, signal }) {
      const over = linked(signal);
      const token = bearer(headers);
      if (token) {
        const { expiresAt } = await verifier.verify(token);
        const ended = () => unauthenticated("the access token has ended during the stream: refresh it and call again");
        void clock.until(expiresAt, over.signal).then(() => over.abort(ended()));
      }
      const items = rpc.call(request, { headers, signal: over.signal })[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = await unlessAborted(over.signal, items.next());
          if (next.done) return;
          yield next.value;
        }
      } catch (error) {
        // A client that is gone needs no error; the server's going down and the token's end are told.
        if (signal.aborted && !(error instanceof ConnectError)) return;
        throw error;
      } finally {
        over.abort();
      }
    },
  };
}

/** A controller that also aborts with `signal`. */
function linked(signal: AbortSignal): AbortController {
  const controller = new AbortController();
  if (signal.aborted) controller.abort(signal.reason);
  else
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true, signal: controller.signal });
  return controller;
}
