import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { isOutage } from "../database/database.ts";
import { contextFrom, currentContext, withContext } from "../telemetry/context.ts";
import type { Log } from "../telemetry/log.ts";
import { span } from "../telemetry/trace.ts";
import type { App } from "./app.ts";
import { authorize, type Caller, identify } from "./caller.ts";
import { invalid, invalidField, refused } from "./errors.ts";
import { findTooLong } from "./list-bounds.ts";
import type { ServerStream, Service, Unary } from "./service.ts";
import type { Verifier } from "./tokens.ts";

/** What comes with a call besides its message. */
export interface CallContext {
  headers: Headers;
  signal: AbortSignal;
}

/** One RPC, ready to be called: identified, authorized, validated, logged, measured, its bugs made opaque. */
export type Rpc = UnaryRpc | StreamRpc;

export interface UnaryRpc {
  kind: "unary";
  method: DescMethod;
  call(request: Message, context: CallContext): Promise<Message>;
}

export interface StreamRpc {
  kind: "server_streaming";
  method: DescMethod;
  call(request: Message, context: CallContext): AsyncIterable<Message>;
}

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
      if (method.methodKind === "server_streaming")
        return bindStream(app, method, handler as ServerStream<DescMethod>, verifier);
      if (method.methodKind === "unary") return bindUnary(app, method, handler as Unary<DescMethod>, verifier);
      throw new Error(`${service.typeName}.${method.name}: ${method.methodKind} methods are not supported`);
    }),
  );
}

function bindUnary(app: App, method: DescMethod, handler: Unary<DescMethod>, verifier: Verifier): UnaryRpc {
  const call = async (request: Message, { headers, signal }: CallContext) => {
    const caller = await admit(verifier, method, request, headers);
    return create(method.output, (await handler(app, caller, request, signal)) as never);
  };
  return {
    kind: "unary",
    method,
    call: (request, context) => observed(app, method, context.headers, () => call(request, context)),
  };
}

function bindStream(app: App, method: DescMethod, handler: ServerStream<DescMethod>, verifier: Verifier): StreamRpc {
  return {
    kind: "server_streaming",
    method,
    async *call(request, { headers, signal }) {
      const context = contextFrom(headers.get("x-request-id"), headers.get("traceparent"));
      try {
        const caller = await withContext(context, () => admit(verifier, method, request, headers));
        const stream = withContext(context, () => handler(app, caller, request, signal)[Symbol.asyncIterator]());
        for (;;) {
          const next = await withContext(context, () => stream.next());
          if (next.done) return;
          yield create(method.output, next.value as never);
        }
      } catch (error) {
        throw withContext(context, () => opaque(app.log, method, error));
      }
    },
  };
}

/** Who may not come in does not learn whether the request was well-formed. */
async function admit(verifier: Verifier, method: DescMethod, request: Message, headers: Headers): Promise<Caller> {
  const caller = await identify(verifier, method, headers, headers.get(ADDRESS_HEADER) ?? "");
  authorize(caller);
  validate(method, request);
  return caller;
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
    result.violations.slice(0, VIOLATIONS_MAX).map((violation) => ({
      field: violation.field.length > 0 ? fieldPath(violation) : "",
      description: violation.message,
    })),
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

function fieldPath(violation: { toString(): string; field: { kind: string }[] } & object): string {
  // "lines[0].quantity: must be …[rule]" is how the library prints a violation; its head is the path.
  const text = String(violation);
  return text.slice(0, text.indexOf(":"));
}

async function observed(
  app: App,
  method: DescMethod,
  headers: Headers,
  work: () => Promise<Message>,
): Promise<Message> {
  const context = contextFrom(headers.get("x-request-id"), headers.get("traceparent"));
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
  if (isOutage(error))
    return refused(Code.Unavailable, "UNAVAILABLE", "a part of the platform cannot be reached right now", RETRY_MS);
  return refused(
    Code.Internal,
    "INTERNAL",
    `something went wrong here; trace ${currentContext()?.traceId ?? "unknown"}`,
  );
}

/** Registers RPCs with a Connect router: for streams, gRPC, gRPC-Web and calls in the same process. */
export function route(router: ConnectRouter, rpcs: Rpc[]): void {
  const context = ({ requestHeader, signal }: HandlerContext): CallContext => ({ headers: requestHeader, signal });
  for (const [service, group] of Map.groupBy(rpcs, (rpc) => rpc.method.parent) as Map<DescService, Rpc[]>) {
    const handlers = group.map((rpc) => [
      rpc.method.localName,
      (request: Message, ctx: HandlerContext) => rpc.call(request, context(ctx)),
    ]);
    // Each handler answers its method's output: bindRpcs created it from the method's descriptor.
    router.service(service, Object.fromEntries(handlers) as never);
  }
}
