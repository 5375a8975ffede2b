import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { sleep } from "./clock.ts";
import { refused } from "./errors.ts";
import { ADDRESS_HEADER, type CallContext, type Rpc } from "./rpc.ts";

/** For how long a call that reached nobody is tried again: longer than a process takes to come back. */
const AGAIN_MS_MAX = 4_000;
const AGAIN_MS_FIRST = 20;
const AGAIN_MS_STEP_MAX = 250;
/** What a caller beyond this platform is told. */
const RETRY_MS = 1_000;
/** Errors before anything was sent; after the others the call may have been done. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ConnectionRefused", "FailedToOpenSocket"]);

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

const again: Interceptor = (next) => async (req) => {
  const giveUpAt = performance.now() + AGAIN_MS_MAX;
  for (let pause = AGAIN_MS_FIRST; ; pause = Math.min(2 * pause, AGAIN_MS_STEP_MAX)) {
    try {
      return await next(req);
    } catch (error) {
      const broken = networkError(error);
      if (!broken || req.signal.aborted) throw error;
      const harmless =
        NEVER_SENT.has(broken) ||
        req.method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN ||
        (!req.stream && hasRequestId(req.message));
      if (!harmless || performance.now() + pause > giveUpAt) throw unreachable(req.service, error);
    }
    await sleep(pause, req.signal);
  }
};

/** The runtime's code for what broke beneath HTTP; undefined when somebody answered. */
function networkError(error: unknown): string | undefined {
  const cause = error instanceof ConnectError ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : undefined;
}

function hasRequestId(message: Message): boolean {
  return "requestId" in message && typeof message.requestId === "string" && message.requestId !== "";
}

function unreachable({ typeName }: DescService, cause: unknown): ConnectError {
  const error = refused(Code.Unavailable, "UNAVAILABLE", `${typeName} cannot be reached right now`, RETRY_MS);
  error.cause = cause;
  return error;
}

/** All that a service believes of a request besides its message. */
const FORWARDED = ["authorization", "x-request-id", "traceparent", "tracestate", ADDRESS_HEADER];

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
          return (await transport.unary(method, context.signal, undefined, forwarded(context), request)).message;
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
