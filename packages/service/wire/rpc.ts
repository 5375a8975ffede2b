import type { DescMessage, DescMethod, Message, MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { AuthService, type Role } from "../../api/gen/bodega/auth/v1/auth_pb.ts";
import { isDeadlock, isOutage, isTooSlow, refusalIn } from "../../database/database.ts";
import { isOverload } from "../../database/gather.ts";
import { contextIn, currentContext, withContext } from "../../telemetry/context.ts";
import type { Log } from "../../telemetry/log.ts";
import { orderOf } from "../../telemetry/order.ts";
import { openSpan } from "../../telemetry/trace.ts";
import type { App } from "../app.ts";
import { authorize, type CallContext, type Caller, identify, usesPower, type Verifier, withRoles } from "../caller.ts";
import { invalid, invalidField, refused } from "../errors.ts";
import type { AnyHandler, Service } from "../service.ts";
import { breathing, HEARTBEAT_MS, heartbeatOf } from "./heartbeat.ts";
import { findTooLong } from "./list-bounds.ts";
import { lowerUuids } from "./uuids.ts";

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
/**
 * Where a caller's last writes stand in each service's log, such as order=5029192,auth=22716360. The answer to a write carries it; who sends it back with
 * a read may be shown a replica that has those writes. Without it only strangers, who have written nothing, are.
 */
export const POSITION_HEADER = "bodega-position";

/** The edge's word on the network that the address is in, which limits count by: docs/configuration.md. */
export const NETWORK_HEADER = "x-bodega-client-network";

const validator = createValidator();
/** A refusal must fit into the trailers of a gRPC call, whatever was asked. */
const VIOLATIONS_MAX = 16;
/** When to come back after an outage. */
const RETRY_MS = 1_000;
const ROLES_TIMEOUT_MS = 3_000;

/** Binds a service's handlers to its app. */
export function bindRpcs(
  app: App,
  definition: Pick<Service, "answers">,
  verifier: Verifier,
  heartbeatMs = HEARTBEAT_MS,
): Rpc[] {
  return definition.answers.flatMap(({ service, handlers }) =>
    service.methods.map((method): Rpc => {
      const handler = handlers[method.localName];
      if (!handler) throw new Error(`${service.typeName}.${method.name} has no handler`);
      return bind(app, method, handler, verifier, heartbeatMs);
    }),
  );
}

function bind(app: App, method: DescMethod, handler: AnyHandler, verifier: Verifier, heartbeatMs: number): Rpc {
  switch (method.methodKind) {
    case "unary":
    case "client_streaming":
      return { kind: method.methodKind, method, call: answerOnce(app, method, handler, verifier) };
    case "server_streaming":
    case "bidi_streaming":
      return { kind: method.methodKind, method, call: answerMany(app, method, handler, verifier, heartbeatMs) };
  }
}

/** A request, or a stream of them. */
type Asked = Message | AsyncIterable<Message>;

function answerOnce(app: App, method: DescMethod, handler: AnyHandler, verifier: Verifier) {
  const call = async (asked: Asked, context: CallContext) => {
    const caller = await admit(app, verifier, method, context.headers);
    return create(method.output, await handler(app, caller, checked(method, asked), context.signal, context));
  };
  return (asked: Asked, context: CallContext) =>
    observed(app, method, context.headers, asked, () => call(asked, context));
}

function answerMany(app: App, method: DescMethod, handler: AnyHandler, verifier: Verifier, heartbeatMs: number) {
  const beat = heartbeatOf(method);
  const heartbeat = beat && (() => beat(app.clock.now()));
  return async function* (asked: Asked, context: CallContext): AsyncGenerator<Message> {
    const trace = contextIn(context.headers);
    const within = <T>(work: () => T) => withContext(trace, work);
    try {
      const caller = await within(() => admit(app, verifier, method, context.headers));
      const requests = within(() => checked(method, asked));
      const stream: AsyncIterator<MessageInitShape<DescMessage>> = within(() =>
        handler(app, caller, requests, context.signal, context)[Symbol.asyncIterator](),
      );
      try {
        for (;;) {
          const coming = within(() => stream.next());
          const next = yield* breathing(coming, heartbeat, heartbeatMs);
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
async function admit(app: App, verifier: Verifier, method: DescMethod, headers: Headers): Promise<Caller> {
  const address = headers.get(ADDRESS_HEADER) ?? "";
  const caller = await identify(verifier, method, headers, address, headers.get(NETWORK_HEADER) ?? undefined);
  authorize(caller);
  if (!usesPower(caller)) return caller;
  const today = withRoles(caller, await rolesToday(app, caller));
  authorize(today);
  return today;
}

/** Asked of auth for every such act; without an answer nothing is done. */
async function rolesToday(app: App, { userId, rpc }: Caller): Promise<Role[]> {
  try {
    const { roles } = await app.call(AuthService).getRoles({ userId }, { timeoutMs: ROLES_TIMEOUT_MS });
    return roles;
  } catch (error) {
    app.log.warn("roles.unknown", { rpc: rpc.name, user_id: userId, message: String(error) });
    const message = `${rpc.name} wants to know what you may do now, and that cannot be asked at the moment`;
    throw refused(Code.Unavailable, "ROLES_UNKNOWN", message, RETRY_MS);
  }
}

/** What was asked, found valid and its ids written in one way; of a stream each message when it comes. */
function checked(method: DescMethod, asked: Asked): Asked {
  if (Symbol.asyncIterator in asked) return eachChecked(method, asked);
  return validated(method, asked);
}

async function* eachChecked(method: DescMethod, requests: AsyncIterable<Message>): AsyncIterable<Message> {
  for await (const request of requests) {
    yield validated(method, request);
  }
}

function validated(method: DescMethod, request: Message): Message {
  validate(method, request);
  lowerUuids(method.input, request);
  return request;
}

/** Refuses a request that breaks the rules of its proto, field by field, or that holds what PostgreSQL's text cannot. */
export function validate(method: DescMethod, request: Message): void {
  const tooLong = findTooLong(method.input, request);
  if (tooLong) throw invalidField(tooLong.field, `must contain no more than ${tooLong.itemsMax} item(s)`);
  const nul = pathToNul(request);
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

/** The path to the first text in `value` that has the character U+0000; empty when it is that text. */
function pathToNul(value: unknown): string | undefined {
  if (typeof value === "string") return value.includes("\0") ? "" : undefined;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return undefined;
  for (const name in value) {
    const inside = pathToNul(value[name as keyof typeof value]);
    if (inside === undefined) continue;
    const step = Array.isArray(value) ? `[${name}]` : snake(name);
    return `${step}${inside === "" || inside.startsWith("[") ? "" : "."}${inside}`;
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
  asked: Asked,
  work: () => Promise<Message>,
): Promise<Message> {
  const context = contextIn(headers);
  const started = performance.now();
  const done = (code: string, orderId: string | undefined) => {
    const ms = performance.now() - started;
    app.metrics.rpc(app.service, method.name, code, ms / 1_000);
    app.log.info("rpc.done", {
      rpc: method.name,
      code,
      ms: Math.round(ms * 10) / 10,
      ...(orderId && { order_id: orderId }),
    });
  };
  return withContext(context, async () => {
    const opened = openSpan(app.service, `${method.parent.typeName}/${method.name}`, {
      kind: "server",
      attributes: () => rpcAttributes(method),
    });
    return withContext(opened?.context ?? context, async () => {
      try {
        const reply = await work();
        const orderId = orderOf(reply) ?? orderOf(asked);
        if (orderId) opened?.set({ "bodega.order.id": orderId });
        done("ok", orderId);
        opened?.end();
        return reply;
      } catch (error) {
        const answer = opaque(app.log, method, error);
        const code = Code[answer.code] ?? "Unknown";
        const orderId = orderOf(asked);
        opened?.set({ "rpc.connect_rpc.error_code": code, ...(orderId && { "bodega.order.id": orderId }) });
        done(code, orderId);
        opened?.end(isFault(answer.code) ? error : undefined);
        throw answer;
      }
    });
  });
}

/** By OpenTelemetry's semantic conventions for Connect. */
export function rpcAttributes(method: DescMethod) {
  return { "rpc.system": "connect_rpc", "rpc.service": method.parent.typeName, "rpc.method": method.name };
}

/** A refusal is an answer: only these say that something is wrong here. */
function isFault(code: Code): boolean {
  return [
    Code.Unknown,
    Code.DeadlineExceeded,
    Code.Unimplemented,
    Code.Internal,
    Code.Unavailable,
    Code.DataLoss,
  ].includes(code);
}

/** Refusals pass; anything else is logged whole and answered as INTERNAL with the trace id and nothing more. */
function opaque(log: Log, method: DescMethod, error: unknown): ConnectError {
  if (error instanceof ConnectError && error.code !== Code.Internal && error.code !== Code.Unknown) {
    if (error.code !== Code.Unauthenticated)
      log.info("rpc.refused", { rpc: method.name, code: Code[error.code], message: error.rawMessage });
    return error;
  }
  const ruled = refusalIn(error);
  if (ruled) return opaque(log, method, refused(Code.ResourceExhausted, ruled.reason, ruled.message));
  if (isOverload(error)) {
    log.warn("rpc.overloaded", { rpc: method.name, message: String(error) });
    return refused(Code.ResourceExhausted, "OVERLOADED", "more is asked than can be done: call again", RETRY_MS);
  }
  log.error("rpc.failed", error, { rpc: method.name });
  // A database that cannot be asked, or not in time, is an answer of its own: come back.
  const answer =
    isOutage(error) || isTooSlow(error) || isDeadlock(error)
      ? refused(Code.Unavailable, "UNAVAILABLE", "a part of the platform cannot be reached right now", RETRY_MS)
      : refused(
          Code.Internal,
          "INTERNAL",
          `something went wrong here; trace ${currentContext()?.traceId ?? "unknown"}`,
        );
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
