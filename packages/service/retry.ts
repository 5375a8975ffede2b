import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Failure, type JobRow, retryLater } from "../database/jobs.ts";
import { parkFollowers, parkJob } from "../database/parked.ts";
import { bindContext, contextFrom } from "../telemetry/context.ts";
import type { App, Tx } from "./app.ts";

export const ATTEMPTS_MAX = 5;
export const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 30_000;
const ERROR_CHARS_MAX = 1_000;

/** Puts a failed job back for a later try, or parks it after the last; then `givenUp` records what that means. */
export async function giveBack(
  app: App,
  row: JobRow,
  failure: Failure & { final: boolean },
  error: unknown,
  givenUp?: (tx: Tx) => Promise<void> | void,
): Promise<void> {
  const parked = failure.final || failure.attempts >= ATTEMPTS_MAX;
  await app.transact(async (tx) => {
    if (parked) {
      await parkJob(tx.sql, row, failure, app.clock.now());
      if (row.kind === "fact") await parkFollowers(tx.sql, row.key, app.clock.now());
      await givenUp?.(tx);
    } else await retryLater(tx.sql, row, failure, app.clock.soon(backoffMs(failure.attempts)));
  });
  const context = contextFrom(row.request_id, row.traceparent);
  app.log
    .with({ request_id: context.requestId, trace_id: context.traceId })
    .error(parked ? "message.parked" : "message.retrying", error, {
      type: row.type,
      key: row.key,
      attempts: failure.attempts,
    });
  app.metrics.messages.inc({ service: app.service, type: row.type, outcome: parked ? "parked" : "retried" });
}

/** A job's body, bound to the context it came in. */
export function decode(schema: DescMessage, row: JobRow): Message {
  try {
    const body = fromBinary(schema, row.body);
    bindContext(body, contextFrom(row.request_id, row.traceparent));
    return body;
  } catch (error) {
    throw new ConnectError(`the body is not a ${schema.typeName}: ${String(error)}`, Code.InvalidArgument);
  }
}

/** What the code tells consumers: INVALID_ARGUMENT will never succeed; everything else may, later. */
export function failureOf(error: unknown, attempts: number): Failure & { final: boolean } {
  const text = error instanceof Error ? error.message : String(error);
  return {
    error: text.slice(0, ERROR_CHARS_MAX),
    attempts,
    final: error instanceof ConnectError && error.code === Code.InvalidArgument,
  };
}

function backoffMs(attempts: number): number {
  return Math.min(RETRY_MS_MIN * 4 ** (attempts - 1), RETRY_MS_MAX);
}
