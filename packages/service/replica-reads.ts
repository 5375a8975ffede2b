import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { isOutage } from "../database/database.ts";
import type { App } from "./app.ts";
import type { Caller } from "./caller.ts";
import { unlessLate } from "./clock.ts";
import type { Replicas } from "./replicas.ts";
import type { CallContext } from "./rpc.ts";
import type { Answers, AnyHandler } from "./service.ts";

/**
 * Where a caller's last writes stand in each service's log, such as order=5029192,auth=22716360. The answer to a write carries it; who sends it back with
 * a read may be shown a replica that has those writes. Without it only strangers, who have written nothing, are.
 */
export const POSITION_HEADER = "bodega-position";

/** Longer than a display read takes; then the primary is asked. */
const REPLICA_MS_MAX = 2_000;
/** Beyond any log: whoever sends it is shown the primary. */
const UNKNOWN = 2n ** 62n;

/** The same handlers, with RPCs that only read reading from a replica where that shows the same. Decisions, and calls between services, are the primary's. */
export function readingReplicas(service: string, answers: Answers[], replicas: Replicas | undefined): Answers[] {
  if (!replicas) return answers;
  return answers.map((each) => ({
    ...each,
    handlers: Object.fromEntries(
      each.service.methods.flatMap((method) => {
        const handler = each.handlers[method.localName];
        if (!handler) return [];
        if (method.methodKind !== "unary") return [[method.localName, handler]];
        const wrapped = onlyReads(method) ? reading(service, handler, replicas) : writing(service, handler, replicas);
        return [[method.localName, wrapped]];
      }),
    ),
  }));
}

function onlyReads({ idempotency }: DescMethod): boolean {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

function reading(service: string, handler: AnyHandler, replicas: Replicas): AnyHandler {
  return async (app, caller, req, signal, context) => {
    const wanted = wantedBy(service, caller, context);
    const copy = wanted === undefined ? undefined : await replicas.at(wanted);
    if (copy) {
      const shown = await tried(handler({ ...app, sql: copy } satisfies App, caller, req, signal, context));
      if (shown) return shown.reply;
      replicas.avoid(copy);
    }
    return handler(app, caller, req, signal, context);
  };
}

/** Undefined when the copy was silent, away, or took the rows from under the read. Refusals are answers. */
async function tried(reply: Promise<unknown>): Promise<{ reply: unknown } | undefined> {
  try {
    return await unlessLate(
      REPLICA_MS_MAX,
      reply.then((reply) => ({ reply })),
    );
  } catch (error) {
    if (isOutage(error) || isConflict(error)) return undefined;
    throw error;
  }
}

/** The primary has removed rows that the copy was still reading: 40001. */
function isConflict(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "40001";
}

function writing(service: string, handler: AnyHandler, replicas: Replicas): AnyHandler {
  return async (app, caller, req, signal, context) => {
    const reply = await handler(app, caller, req, signal, context);
    if (context.answer) {
      const written = await replicas.position().catch((error: unknown) => {
        app.log.warn("position.unknown", { message: String(error) });
        return UNKNOWN;
      });
      const positions = positionsIn(context.headers).set(service, written);
      context.answer.headers.set(POSITION_HEADER, Array.from(positions, ([name, at]) => `${name}=${at}`).join());
    }
    return reply;
  };
}

function wantedBy(service: string, { userId }: Caller, { headers }: CallContext): bigint | undefined {
  if (headers.has(POSITION_HEADER)) return positionsIn(headers).get(service) ?? 0n;
  return userId === "" ? 0n : undefined;
}

/** What is not understood is left out, as of a service that was never written to. */
function positionsIn(headers: Headers): Map<string, bigint> {
  const found = (headers.get(POSITION_HEADER) ?? "").matchAll(/(?:^|,)([a-z]{1,20})=(\d{1,19})(?=,|$)/g);
  return new Map(Array.from(found, ([, name = "", at = "0"]) => [name, BigInt(at)]));
}
