import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { tokenOf } from "../../packages/service/caller.ts";
import { type Clock, sleep } from "../../packages/service/clock.ts";
import { refused } from "../../packages/service/errors.ts";
import { unlessAborted } from "../../packages/service/http.ts";
import type { CallContext, ClientStreamRpc, Rpc, UnaryRpc } from "../../packages/service/rpc.ts";
import { unauthenticated, type Verifier } from "../../packages/service/tokens.ts";

const UNARY_MS_MAX = 10_000;

export interface BoundPorts {
  verifier: Verifier;
  /** The clock that tokens live by. */
  clock: Clock;
  unaryMsMax?: number;
}

/** RPCs that end: a unary call after ten seconds at most, a stream with its client or its token. */
export function createBounds(ports: BoundPorts): (rpc: Rpc) => Rpc {
  const deadlines = createDeadlines(ports.unaryMsMax ?? UNARY_MS_MAX);
  return (rpc) => {
    switch (rpc.kind) {
      case "unary":
        return boundedUnary(rpc, deadlines);
      case "client_streaming":
        return boundedUpload(rpc, ports);
      case "server_streaming":
        return { ...rpc, call: boundedStream(rpc, rpc.call, ports) };
      case "bidi_streaming":
        return { ...rpc, call: boundedStream(rpc, rpc.call, ports) };
    }
  };
}

function boundedUnary(rpc: UnaryRpc, deadlines: Deadlines): UnaryRpc {
  return {
    ...rpc,
    async call(request, context) {
      const { signal } = context;
      const over = new AbortController();
      const ended = Promise.withResolvers<never>();
      const end = (reason: unknown) => {
        over.abort(reason);
        ended.reject(reason);
      };
      if (signal.aborted) throw signal.reason;
      signal.addEventListener("abort", () => end(signal.reason), { once: true });
      const done = deadlines.begin((ms) => end(late(rpc, ms)));
      try {
        return await Promise.race([rpc.call(request, { ...context, signal: over.signal }), ended.promise]);
      } finally {
        done();
      }
    },
  };
}

function late({ method }: Rpc, ms: number): ConnectError {
  return refused(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", `${method.name} took longer than ${ms} ms`);
}

interface Deadlines {
  /** Calls `end` when the time is over, unless the function it returns was called before. */
  begin(end: (ms: number) => void): () => void;
}

/** How often running calls are looked at within their time. */
const LOOKS = 20;

/** One timer for all running calls, because one each costs more than many a call does; it ticks only while there are calls. */
function createDeadlines(msMax: number): Deadlines {
  const running = new Set<{ looks: number; end: (ms: number) => void }>();
  let ticking = false;

  async function tick() {
    for (ticking = true; running.size > 0; ) {
      await sleep(msMax / LOOKS);
      for (const each of running) if (--each.looks <= 0 && running.delete(each)) each.end(msMax);
    }
    ticking = false;
  }

  return {
    begin(end) {
      const call = { looks: LOOKS + 1, end };
      running.add(call);
      if (!ticking) void tick();
      return () => running.delete(call);
    },
  };
}

function boundedUpload(rpc: ClientStreamRpc, ports: BoundPorts): ClientStreamRpc {
  return {
    ...rpc,
    async call(requests, context) {
      const over = await untilTokenEnds(rpc, context, ports);
      try {
        return await unlessAborted(over.signal, rpc.call(requests, { ...context, signal: over.signal }));
      } finally {
        over.abort();
      }
    },
  };
}

type Stream<Asked> = (asked: Asked, context: CallContext) => AsyncIterable<Message>;

function boundedStream<Asked>(rpc: Rpc, call: Stream<Asked>, ports: BoundPorts): Stream<Asked> {
  return async function* (asked, context) {
    const over = await untilTokenEnds(rpc, context, ports);
    const items = call(asked, { ...context, signal: over.signal })[Symbol.asyncIterator]();
    let waiting = false;
    try {
      for (;;) {
        waiting = true;
        const next = await unlessAborted(over.signal, items.next());
        waiting = false;
        if (next.done) return;
        yield next.value;
      }
    } catch (error) {
      // A client that is gone needs no error; the server's going down and the token's end are told.
      if (context.signal.aborted && !(error instanceof ConnectError)) return;
      throw error;
    } finally {
      over.abort();
      // One that is at work hears it by its signal.
      if (!waiting) await items.return?.();
    }
  };
}

/** Aborts with the call, and when the token it came with ends. */
async function untilTokenEnds({ method }: Rpc, { headers, signal }: CallContext, { verifier, clock }: BoundPorts) {
  const over = linked(signal);
  const shown = await tokenOf(verifier, method, headers);
  if (shown) {
    const ended = () => unauthenticated("the access token has ended during the stream: refresh it and call again");
    void clock.until(shown.claims.expiresAt, over.signal).then(() => over.abort(ended()));
  }
  return over;
}

/** A controller that also aborts with `signal`. */
function linked(signal: AbortSignal): AbortController {
  const controller = new AbortController();
  if (signal.aborted) controller.abort(signal.reason);
  else
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true, signal: controller.signal });
  return controller;
}
