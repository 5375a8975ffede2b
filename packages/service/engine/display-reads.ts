import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type Database, isOutage, isTooSlow } from "../../database/database.ts";
import type { Replicas } from "../../database/replicas.ts";
import { unlessLate } from "../../time/wait.ts";
import type { App } from "../app.ts";
import type { CallContext, Caller } from "../caller.ts";
import { onePlace } from "../places.ts";
import type { Answers, AnyHandler } from "../service.ts";
import { POSITION_HEADER } from "../wire/rpc.ts";

/** Longer than a display read takes; then the primary is asked. */
const REPLICA_MS_MAX = 2_000;
/** A position that no log ever reaches, so that no replica has it: whoever sends it reads from the primary. */
const UNKNOWN = 2n ** 62n;

interface ReadFrom {
  database: Pick<Database, "unlessSilent">;
  replicas?: Replicas;
}

/**
 * The same handlers, which fail fast while the primary answers nobody. RPCs that only read are answered by a replica that has what the caller has written. Decisions,
 * and calls between services, are answered from the primary.
 */
export function answeringInTime(service: string, answers: Answers[], { database, replicas }: ReadFrom): Answers[] {
  return answers.map((each) => ({
    ...each,
    handlers: Object.fromEntries(
      each.service.methods.flatMap((method) => {
        const handler = each.handlers[method.localName];
        if (!handler) return [];
        if (method.methodKind !== "unary") return [[method.localName, handler]];
        const patient =
          (handle: AnyHandler): AnyHandler =>
          (...asked) =>
            database.unlessSilent(async () => handle(...asked));
        if (!replicas) return [[method.localName, patient(handler)]];
        const wrapped = onlyReads(method)
          ? reading(service, handler, patient(handler), replicas)
          : patient(writing(service, handler, replicas));
        return [[method.localName, wrapped]];
      }),
    ),
  }));
}

function onlyReads({ idempotency }: DescMethod): boolean {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

function reading(service: string, handler: AnyHandler, ofPrimary: AnyHandler, replicas: Replicas): AnyHandler {
  return async (app, caller, req, signal, context) => {
    const wanted = wantedBy(service, caller, context);
    const copy = wanted === undefined ? undefined : await replicas.at(wanted);
    if (copy) {
      const shown = await tried(handler(onePlace({ ...app, sql: copy }) satisfies App, caller, req, signal, context));
      if (shown) return shown.reply;
      replicas.avoid(copy);
    }
    return ofPrimary(app, caller, req, signal, context);
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
    if (isOutage(error) || isTooSlow(error) || isConflict(error)) return undefined;
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
