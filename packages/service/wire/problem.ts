import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import { BadRequestSchema } from "../../api/gen/google/rpc/error_details_pb.ts";
import type { Context } from "../../telemetry/context.ts";
import { reasonOf, retryAfterMs, type Violation } from "../errors.ts";

/** RFC 9457. `reason` and `code` are those of the same refusal over Connect. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  reason: string;
  code: string;
  trace_id: string;
  request_id: string;
  violations?: Violation[];
  retry_after_ms?: number;
}

export const PROBLEM_TYPE = "application/problem+json";

/** A refusal that HTTP has a status of its own for, such as 415. No subclass: ConnectError takes every ConnectError for an instance of it. */
export function withStatus(status: number, error: ConnectError): ConnectError {
  return Object.assign(error, { status });
}

function statusOf(error: ConnectError): number {
  return "status" in error && typeof error.status === "number" ? error.status : codeToHttpStatus(error.code);
}

export function problemOf(error: ConnectError, context: Context): Problem {
  const code = codeToString(error.code);
  const reason = reasonOf(error) ?? code.toUpperCase();
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  const wait = retryAfterMs(error);
  return {
    type: `urn:bodega:problem:${reason.toLowerCase().replaceAll("_", "-")}`,
    title: titleOf(code),
    status: statusOf(error),
    detail: error.rawMessage,
    reason,
    code,
    trace_id: context.traceId,
    request_id: context.correlationId,
    ...(violations.length > 0 && { violations: violations.map(({ field, description }) => ({ field, description })) }),
    ...(wait !== undefined && { retry_after_ms: wait }),
  };
}

/** `headers` are sent along. */
export function problemResponse(error: ConnectError, context: Context, headers = new Headers()): Response {
  const problem = problemOf(error, context);
  headers.set("content-type", PROBLEM_TYPE);
  headers.set("cache-control", "no-store");
  if (problem.retry_after_ms !== undefined)
    headers.set("retry-after", String(Math.max(1, Math.ceil(problem.retry_after_ms / 1_000))));
  if (problem.status === 401) headers.set("www-authenticate", "Bearer");
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** What is no refusal was logged where it happened; the client learns the trace id only. */
export function asConnectError(error: unknown, context: Context): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError(`something went wrong here; trace ${context.traceId}`, Code.Internal);
}

/** "not_found" is "Not found" for people. */
function titleOf(code: string): string {
  return `${code.charAt(0).toUpperCase()}${code.slice(1).replaceAll("_", " ")}`;
}
