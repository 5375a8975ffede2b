import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type Transport,
  type UnaryRequest,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { contextIn, traceparent } from "../../telemetry/context.ts";
import { span } from "../../telemetry/trace.ts";
import type { Told } from "../../time/followed.ts";
import type { CallContext } from "../caller.ts";
import type { InnerTls } from "../tls.ts";
import { type EdgeOrigin, ORIGIN_HEADER } from "./edge-origin.ts";
import { ADDRESS_HEADER, NETWORK_HEADER, POSITION_HEADER, type Rpc, rpcAttributes } from "./rpc.ts";
import type { UntilBack } from "./until-back.ts";
import { untilReached } from "./until-reached.ts";

/**
 * How a service in another process is called: Connect over HTTP. A call that reached nobody is tried again for some seconds, so that a restart over there
 * fails none here; one whose connection broke only where a second call does no harm: it reads, or it carries a request_id. With `untilBack` such a call is also
 * made again when it was answered that a part over there is away.
 */
export function remoteTransport(baseUrl: string, tls?: InnerTls, untilBack?: UntilBack): Transport {
  return createConnectTransport({
    baseUrl,
    useBinaryFormat: true,
    interceptors: untilBack ? [patient(untilBack), again] : [again],
    // A watched order may be silent for hours; deadlines are the callers' own.
    fetch: ((input, init) =>
      fetch(input, { ...init, ...over(tls), timeout: false } as BunFetchRequestInit)) as typeof fetch,
  });
}

/** Rejects while the process at `url` cannot serve. */
export async function remoteReady(url: string, signal: AbortSignal, tls?: InnerTls): Promise<void> {
  const { status } = await fetch(`${url}/readyz`, { signal, ...over(tls) });
  if (status !== 200) throw new Error(`expected 200 of ${url}/readyz, found ${status}`);
}

/** The real time that the process at `url` goes by, which is its database's. */
export async function remoteTime(url: string, tls?: InnerTls): Promise<Told> {
  const answer = await fetch(`${url}/time`, over(tls));
  const ms = Number(await answer.text());
  if (answer.status !== 200 || !Number.isFinite(ms)) throw new Error(`expected the time of ${url}/time, found none`);
  return { ms, wrongByMs: 0 };
}

/** What a fetch is given to show our certificate, and to take the authority's alone. */
export function over(tls: InnerTls | undefined): BunFetchRequestInit {
  return tls ? { tls: { ...tls } } : {};
}

const again: Interceptor = (next) => (req) =>
  untilReached(req.service.typeName, () => next(req), { harmless: isHarmless(req), signal: req.signal });

/** A stream says what it has to say in its messages, which come later. */
const patient =
  (untilBack: UntilBack): Interceptor =>
  (next) =>
  (req) =>
    !req.stream && isHarmless(req) ? untilBack(() => next(req), req.signal) : next(req);

function isHarmless(req: UnaryRequest | StreamRequest): boolean {
  const declared = req.method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  return declared || (!req.stream && hasRequestId(req.message));
}

function hasRequestId(message: Message): boolean {
  return "requestId" in message && typeof message.requestId === "string" && message.requestId !== "";
}

/** All that is passed on of a request besides its message, and where it came from, which is signed. */
const FORWARDED = ["authorization", "x-request-id", "traceparent", "tracestate", POSITION_HEADER];
type Seal = (origin: EdgeOrigin) => string;

/** RPCs that another process answers, in front of which the edge can stand as if they were its own. All checks are made over there. */
export function remoteRpcs(services: DescService[], transport: Transport, seal: Seal): Rpc[] {
  return services.flatMap(({ methods }) => methods.map((method) => remoteRpc(method, transport, seal)));
}

function remoteRpc(method: DescMethod, transport: Transport, seal: Seal): Rpc {
  if (isUnary(method)) {
    return {
      kind: "unary",
      method,
      async call(request, context) {
        const name = `${method.parent.typeName}/${method.name}`;
        const options = {
          kind: "client" as const,
          attributes: () => rpcAttributes(method),
          parent: contextIn(context.headers),
        };
        try {
          return await span("gateway", name, options, async (opened) => {
            const sent = forwarded(context, seal);
            if (opened) sent.set("traceparent", traceparent(opened.context));
            const { header, message } = await transport.unary(method, context.signal, undefined, sent, request);
            const position = header.get(POSITION_HEADER);
            if (position !== null) context.answer?.headers.set(POSITION_HEADER, position);
            return message;
          });
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
          yield* (await transport.stream(method, context.signal, undefined, forwarded(context, seal), one(request)))
            .message;
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

export const isUnary = (method: DescMethod): method is DescMethodUnary => method.methodKind === "unary";
export const isServerStream = (method: DescMethod): method is DescMethodServerStreaming =>
  method.methodKind === "server_streaming";

function forwarded({ headers }: CallContext, seal: Seal): Headers {
  const passed = new Headers();
  for (const name of FORWARDED) {
    const value = headers.get(name);
    if (value !== null) passed.set(name, value);
  }
  const address = headers.get(ADDRESS_HEADER) ?? "";
  passed.set(ORIGIN_HEADER, seal({ address, network: headers.get(NETWORK_HEADER) ?? "" }));
  return passed;
}

/** The error without the headers of the answer that it came in: they were for this process, not for whom it answers. */
function bare(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const passed = new ConnectError(error.rawMessage, error.code, undefined, undefined, error.cause);
  passed.details = error.details;
  return passed;
}

async function* one(request: Message): AsyncIterable<Message> {
  yield request;
}
