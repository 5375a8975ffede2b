import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Verifier } from "../../../packages/service/caller.ts";
import { tokenOf } from "../../../packages/service/caller.ts";
import { refused, unauthenticated } from "../../../packages/service/errors.ts";
import { unlessAborted } from "../../../packages/service/wire/http.ts";
import { createOpenLimit, type OpenLimit } from "../../../packages/service/wire/open-limit.ts";
import { type ClientStreamRpc, NETWORK_HEADER, type Rpc, type UnaryRpc } from "../../../packages/service/wire/rpc.ts";
import type { Clock } from "../../../packages/time/clock.ts";
import { createDeadlines, type Deadlines } from "../../../packages/time/deadlines.ts";
import type { Crowd } from "./crowd.ts";

const UNARY_MS_MAX = 10_000;
const STREAMS_PER_NETWORK_MAX = 200;
const STREAMS_MAX = 5_000;

export interface BoundPorts {
  verifier: Verifier;
  /** The clock that tokens live by. */
  clock: Clock;
  /** Counts unary calls. */
  crowd?: Crowd;
  unaryMsMax?: number;
  streamsPerNetworkMax?: number;
}

/** RPCs that end: a unary call after ten seconds at most, a stream with its client or its token. */
export function createBounds(ports: BoundPorts): (rpc: Rpc) => Rpc {
  const deadlines = createDeadlines(ports.unaryMsMax ?? UNARY_MS_MAX);
  const open = createOpenLimit(ports.streamsPerNetworkMax ?? STREAMS_PER_NETWORK_MAX, STREAMS_MAX);
  return (rpc) => {
    switch (rpc.kind) {
      case "unary":
        return boundedUnary(rpc, deadlines, ports.crowd);
      case "client_streaming":
        return boundedUpload(rpc, ports);
      case "server_streaming":
        return { ...rpc, call: bounded(open, rpc, boundedStream(rpc, rpc.call, ports)) };
      case "bidi_streaming":
        return { ...rpc, call: bounded(open, rpc, boundedStream(rpc, rpc.call, ports)) };
    }
  };
}

function boundedUnary(rpc: UnaryRpc, deadlines: Deadlines, crowd: Crowd | undefined): UnaryRpc {
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
      const leave = crowd?.enter();
      signal.addEventListener("abort", () => end(signal.reason), { once: true });
      const done = deadlines.begin((ms) => end(late(rpc, ms)));
      try {
        return await Promise.race([rpc.call(request, { ...context, signal: over.signal }), ended.promise]);
      } finally {
        done();
        leave?.();
      }
    },
  };
}

function late({ method }: Rpc, ms: number): ConnectError {
  return refused(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", `${method.name} took longer than ${ms} ms`);
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

/** A stream that has a place as long as it is open: each holds memory and looks into a database every second. */
function bounded<Asked>(open: OpenLimit, { method }: Rpc, call: Stream<Asked>): Stream<Asked> {
  return async function* (asked, context) {
    const giveBack = open.take(context.headers.get(NETWORK_HEADER) ?? "");
    if (!giveBack)
      throw refused(
        Code.ResourceExhausted,
        "TOO_MANY_STREAMS",
        `${method.name}: too many streams are open from this network: close one, or try again`,
        FULL_RETRY_MS,
      );
    try {
      yield* call(asked, context);
    } finally {
      giveBack();
    }
  };
}

const FULL_RETRY_MS = 5_000;

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
