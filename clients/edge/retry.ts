// What may be asked again, and when.
import type { Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type StreamRequest, type UnaryRequest } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../packages/api/gen/google/rpc/error_details_pb.ts";

const ATTEMPTS_MAX = 5;
/** From the first attempt to the last. */
const TRYING_MS_MAX = 20_000;
const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 2_000;

/** Whether a second call does no harm: it reads, is idempotent by its nature, or carries a request_id, under which it happens once. */
export function isSafe(req: UnaryRequest | StreamRequest): boolean {
  if (req.method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN) return true;
  return !req.stream && hasRequestId(req.message);
}

function hasRequestId(message: Message): boolean {
  return "requestId" in message && typeof message.requestId === "string" && message.requestId !== "";
}

/**
 * How long to wait before the next attempt; undefined when there is to be none. ABORTED without RetryInfo wants something read anew first, not the
 * same call again.
 */
export function pauseBefore(
  refusal: ConnectError,
  attempts: number,
  spentMs: number,
  chance = Math.random(),
): number | undefined {
  const told = retryAfterMs(refusal);
  const passes = refusal.code === Code.Unavailable || (refusal.code === Code.Aborted && told !== undefined);
  if (!passes || attempts >= ATTEMPTS_MAX) return undefined;
  // Half of it is chance, so that those who failed together do not come back together.
  const own = (Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), PAUSE_MS_MAX) * (1 + chance)) / 2;
  const pause = Math.max(own, told ?? 0);
  return spentMs + pause > TRYING_MS_MAX ? undefined : pause;
}

/** How long to wait before trying again, when the refusal says so. */
export function retryAfterMs(refusal: ConnectError): number | undefined {
  const delay = refusal.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay && Number(delay.seconds) * 1_000 + Math.ceil(delay.nanos / 1e6);
}

export const isUnauthenticated = (error: unknown) =>
  error instanceof ConnectError && error.code === Code.Unauthenticated;

/** What broke beneath HTTP is UNAVAILABLE, and names whom nobody reached. */
export function asRefusal(error: unknown, url: string): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof Error && error.name === "AbortError") return ConnectError.from(error, Code.Canceled);
  const why = error instanceof Error ? error.message : String(error);
  return new ConnectError(`${url} cannot be reached: ${why}`, Code.Unavailable, undefined, undefined, error);
}

export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
