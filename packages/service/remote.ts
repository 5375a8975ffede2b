import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { untilReached } from "./again.ts";
import { POSITION_HEADER } from "./replica-reads.ts";
import { ADDRESS_HEADER, type CallContext, type Rpc } from "./rpc.ts";

/**
 * How a service in another process is called: Connect over HTTP. A call that reached nobody is tried again for some seconds, so that a restart over there
 * fails none here; one whose connection broke only where a second call does no harm: it reads, or it carries a request_id.
 */
export function remoteTransport(baseUrl: string): Transport {
  return createConnectTransport({
    baseUrl,
    useBinaryFormat: true,
    interceptors: [again],
    // A watched order may be silent for hours; deadlines are the callers' own.
    fetch: ((input, init) => fetch(input, { ...init, timeout: false } as BunFetchRequestInit)) as typeof fetch,
  });
}

/** Rejects while the process at `url` cannot serve. */
export async function remoteReady(url: string, signal: AbortSignal): Promise<void> {
  const { status } = await fetch(`${url}/readyz`, { signal });
  if (status !== 200) throw new Error(`expected 200 of ${url}/readyz, found ${status}`);
}

const again: Interceptor = (next) => (req) => {
  const reads = req.method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  const harmless = reads || (!req.stream && hasRequestId(req.message));
  return untilReached(req.service.typeName, () => next(req), { harmless, signal: req.signal });
};

function hasRequestId(message: Message): boolean {
  return "requestId" in message && typeof message.requestId === "string" && message.requestId !== "";
}

/** All that a service believes of a request besides its message. */
const FORWARDED = ["authorization", "x-request-id", "traceparent", "tracestate", ADDRESS_HEADER, POSITION_HEADER];

/** RPCs that another process answers, in front of which the edge can stand as if they were its own. All checks are made over there. */
export function remoteRpcs(services: DescService[], transport: Transport): Rpc[] {
  return services.flatMap(({ methods }) => methods.map((method) => remoteRpc(method, transport)));
}

function remoteRpc(method: DescMethod, transport: Transport): Rpc {
  if (isUnary(method)) {
    return {
      kind: "unary",
      method,
      async call(request, context) {
        try {
          const sent = forwarded(context);
          const { header, message } = await transport.unary(method, context.signal, undefined, sent, request);
          const position = header.get(POSITION_HEADER);
          if (position !== null) context.answer?.headers.set(POSITION_HEADER, position);
          return message;
        } catch (error) {
          throw bare(error);
        }
      },
    };
  }
  if (isServerStream(method)) {
    return {
      kind: "server_streaming",
      method,
      async *call(request, context) {
        try {
          yield* (await transport.stream(method, context.signal, undefined, forwarded(context), one(request))).message;
        } catch (error) {
          throw bare(error);
        }
      },
    };
  }
  // Fetch sends a request whole before it reads the answer.
  throw new Error(
    `${method.parent.typeName}.${method.name}: ${method.methodKind} methods cannot be in another process`,
  );
}

const isUnary = (method: DescMethod): method is DescMethodUnary => method.methodKind === "unary";
const isServerStream = (method: DescMethod): method is DescMethodServerStreaming =>
  method.methodKind === "server_streaming";

function forwarded({ headers }: CallContext): Headers {
  const passed = new Headers();
  for (const name of FORWARDED) {
    const value = headers.get(name);
    if (value !== null) passed.set(name, value);
  }
  return passed;
}

/** Without the headers of the answer it came in: those were for this hop. */
function bare(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const passed = new ConnectError(error.rawMessage, error.code, undefined, undefined, error.cause);
  passed.details = error.details;
  return passed;
}

async function* one(request: Message): AsyncIterable<Message> {
  yield request;
}
