import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../api/gen/google/rpc/error_details_pb.ts";

// Refusals: answers to the caller, thrown where they are decided. Anything else that is thrown is a bug and becomes INTERNAL.

const DOMAIN = "bodega";

/** A refusal with a reason that programs can read, such as OUT_OF_STOCK. `retryMs` tells when trying again makes sense. */
export function refused(code: Code, reason: string, message: string, retryMs?: number): ConnectError {
  const error = new ConnectError(message, code);
  error.details.push({ desc: ErrorInfoSchema, value: { reason, domain: DOMAIN } });
  if (retryMs !== undefined) error.details.push({ desc: RetryInfoSchema, value: { retryDelay: delay(retryMs) } });
  return error;
}

export function unauthenticated(message: string): ConnectError {
  return refused(Code.Unauthenticated, "UNAUTHENTICATED", message);
}

export function notFound(kind: string, id: string): ConnectError {
  return refused(Code.NotFound, `${kind.toUpperCase().replaceAll(" ", "_")}_NOT_FOUND`, `there is no ${kind} ${id}`);
}

/** The reason of an effect that may have happened or not, because its answer was lost: it is tried again seldom. */
export const OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN";

export function outcomeUnknown(message: string): ConnectError {
  return refused(Code.DeadlineExceeded, OUTCOME_UNKNOWN, message);
}

export interface Violation {
  /** Path of the field, such as lines[0].quantity. */
  field: string;
  description: string;
}

export function invalid(violations: Violation[]): ConnectError {
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const error = refused(Code.InvalidArgument, "INVALID_ARGUMENT", list);
  error.details.push({ desc: BadRequestSchema, value: { fieldViolations: violations } });
  return error;
}

export function invalidField(field: string, description: string): ConnectError {
  return invalid([{ field, description }]);
}

/** The reason of a refusal, or undefined for errors that carry none. */
export function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}

/** How long to wait before trying again, in milliseconds, when the refusal says so. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return retry && Number(retry.seconds) * 1_000 + Math.ceil(retry.nanos / 1e6);
}

function delay(ms: number) {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}
