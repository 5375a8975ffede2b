import type { DescMethod, Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { isOutage } from "../database/database.ts";
import { contextIn, currentContext, withContext } from "../telemetry/context.ts";
import type { Log } from "../telemetry/log.ts";
import { span } from "../telemetry/trace.ts";
import type { App } from "./app.ts";
import { authorize, type Caller, identify } from "./caller.ts";
import { invalid, invalidField, refused } from "./errors.ts";
import { findTooLong } from "./list-bounds.ts";
import type { AnyHandler, Service } from "./service.ts";
import type { Verifier } from "./tokens.ts";

/** What comes with a call besides its message, and what goes back besides the answer. */
export interface CallContext {
  headers: Headers;
  signal: AbortSignal;
  /** What a handler sets here is sent with its answer; left out by wires that have no place for it. */
  answer?: { headers: Headers; trailers: Headers };
}

/** One RPC, ready to be called: identified, authorized, validated, logged, measured, its bugs made opaque. */
export type Rpc = UnaryRpc | ServerStreamRpc | ClientStreamRpc | BidiStreamRpc;

interface Callable<Kind extends DescMethod["methodKind"], Asked, Answered> {
  kind: Kind;
  method: DescMethod;
  call(asked: Asked, context: CallContext): Answered;
}

export interface UnaryRpc extends Callable<"unary", Message, Promise<Message>> {}
export interface ServerStreamRpc extends Callable<"server_streaming", Message, AsyncIterable<Message>> {}
export interface ClientStreamRpc extends Callable<"client_streaming", AsyncIterable<Message>, Promise<Message>> {}
export interface BidiStreamRpc extends Callable<"bidi_streaming", AsyncIterable<Message>, AsyncIterable<Message>> {}

/** The edge's word on the client's network address. The gateway sets it and strips what came from outside. */
export const ADDRESS_HEADER = "x-bodega-client-address";

const validator = createValidator();
/** A refusal must fit into the trailers of a gRPC call, whatever was asked. */
const VIOLATIONS_MAX = 16;
/** When to come back after an outage. */
const RETRY_MS = 1_000;

/** Binds a service's handlers to its app. */
export function bindRpcs(app: App, definition: Pick<Service, "answers">, verifier: Verifier): Rpc[] {
  return definition.answers.flatMap(({ service, handlers }) =>
    service.methods.map((method): Rpc => {
      const handler = handlers[method.localName];
      if (!handler) throw new Error(`${service.typeName}.${method.name} has no handler`);
      return bind(app, method, handler, verifier);
    }),
  );
}

function bind(app: App, method: DescMethod, handler: AnyHandler, verifier: Verifier): Rpc {
  switch (method.methodKind) {
    case "unary":
    case "client_streaming":
      return { kind: method.methodKind, method, call: answerOnce(app, method, handler, verifier) };
    case "server_streaming":
    case "bidi_streaming":
      return { kind: method.methodKind, method, call: answerMany(app, method, handler, verifier) };
  }
}

/** A request, or a stream of them. */
type Asked = Message | AsyncIterable<Message>;

function answerOnce(app: App, method: DescMethod, handler: AnyHandler, verifier: Verifier) {
  const call = async (asked: Asked, context: CallContext) => {
    const caller = await admit(verifier, method, context.headers);
    return create(method.output, await handler(app, caller, checked(method, asked), context.signal, context));
  };
  return (asked: Asked, context: CallContext) => observed(app, method, context.headers, () => call(asked, context));
}

function answerMany(app: App, method: DescMethod, handler: AnyHandler, verifier: Verifier) {
  return async function* (asked: Asked, context: CallContext): AsyncGenerator<Message> {
    const trace = contextIn(context.headers);
    const within = <T>(work: () => T) => withContext(trace, work);
    try {
      const caller = await within(() => admit(verifier, method, context.headers));
      const requests = within(() => checked(method, asked));
      const stream = within(() => handler(app, caller, requests, context.signal, context)[Symbol.asyncIterator]());
      try {
        for (;;) {
          const next = await within(() => stream.next());
          if (next.done) return;
          yield create(method.output, next.value);
        }
      } finally {
        // Who stops listening ends the handler, where it stands.
        await within(() => stream.return?.());
      }
    } catch (error) {
      throw within(() => opaque(app.log, method, error));
    }
  };
}

/** Comes before `checked`: who may not come in does not learn whether the request was well-formed. */
async function admit(verifier: Verifier, method: DescMethod, headers: Headers): Promise<Caller> {
  const caller = await identify(verifier, method, headers, headers.get(ADDRESS_HEADER) ?? "");
  authorize(caller);
  return caller;
}

/** What was asked, found valid; of a stream each message when it comes. */
function checked(method: DescMethod, asked: Asked): Asked {
  if (Symbol.asyncIterator in asked) return eachChecked(method, asked);
  validate(method, asked);
  return asked;
}

async function* eachChecked(method: DescMethod, requests: AsyncIterable<Message>): AsyncIterable<Message> {
  for await (const request of requests) {
    validate(method, request);
    yield request;
  }
}

/** Refuses a request that breaks the rules of its proto, field by field, or that holds what PostgreSQL's text cannot. */
export function validate(method: DescMethod, request: Message): void {
  const tooLong = findTooLong(method.input, request);
  if (tooLong) throw invalidField(tooLong.field, `must contain no more than ${tooLong.itemsMax} item(s)`);
  const nul = fieldWithNul(request);
  if (nul) throw invalidField(nul, "must not contain the character U+0000");
  const result = validator.validate(method.input, request);
  if (result.kind === "valid") return;
  if (result.kind === "error") throw result.error;
  throw invalid(
    result.violations
      .slice(0, VIOLATIONS_MAX)
      .map(({ field, message }) => ({ field: pathToString(field), description: message })),
  );
}

function fieldWithNul(value: object): string | undefined {
  for (const [name, part] of Object.entries(value)) {
    const step = () => (Array.isArray(value) ? `[${name}]` : snake(name));
    if (typeof part === "string" && part.includes("\0")) return step();
    if (typeof part !== "object" || part === null || part instanceof Uint8Array) continue;
    const inside = fieldWithNul(part);
    if (inside) return `${step()}${inside.startsWith("[") ? "" : "."}${inside}`;
  }
  return undefined;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

async function observed(
  app: App,
  method: DescMethod,
  headers: Headers,
  work: () => Promise<Message>,
): Promise<Message> {
  const context = contextIn(headers);
  const started = performance.now();
  const done = (code: string) => {
    const ms = performance.now() - started;
    app.metrics.rpcSeconds.observe({ service: app.service, method: method.name, code }, ms / 1_000);
    app.log.info("rpc.done", { rpc: method.name, code, ms: Math.round(ms * 10) / 10 });
  };
  return withContext(context, async () => {
    try {
      const reply = await span(
        method.name,
        { "rpc.system": "connect_rpc", "rpc.service": method.parent.typeName, "rpc.method": method.name },
        work,
      );
      done("ok");
      return reply;
    } catch (error) {
      const answer = opaque(app.log, method, error);
      done(Code[answer.code] ?? "Unknown");
      throw answer;
    }
  });
}

/** Refusals pass; anything else is logged whole and answered as INTERNAL with the trace id and nothing more. */
function opaque(log: Log, method: DescMethod, error: unknown): ConnectError {
  if (error instanceof ConnectError && error.code !== Code.Internal && error.code !== Code.Unknown) {
    if (error.code !== Code.Unauthenticated)
      log.info("rpc.refused", { rpc: method.name, code: Code[error.code], message: error.rawMessage });
    return error;
  }
  log.error("rpc.failed", error, { rpc: method.name });
  // A database that cannot be asked is an answer of its own: come back.
  const answer = isOutage(error)
    ? refused(Code.Unavailable, "UNAVAILABLE", "a part of the platform cannot be reached right now", RETRY_MS)
    : refused(Code.Internal, "INTERNAL", `something went wrong here; trace ${currentContext()?.traceId ?? "unknown"}`);
  answer.cause = error; // It stays in the process: no wire sends it.
  return answer;
}

/** Registers RPCs with a Connect router: for streams, gRPC, gRPC-Web and calls in the same process. What is not registered is not there. */
export function route(router: ConnectRouter, rpcs: Rpc[]): void {
  for (const rpc of rpcs) {
    // The router asks with what the method's kind takes, and each kind answers its method's output: bindRpcs created it from the descriptor.
    const implementation = (asked: never, { requestHeader, signal, responseHeader, responseTrailer }: HandlerContext) =>
      rpc.call(asked, {
        headers: requestHeader,
        signal,
        answer: { headers: responseHeader, trailers: responseTrailer },
      });
    router.rpc(rpc.method, implementation as never);
  }
}
