import { Code, ConnectError } from "@connectrpc/connect";
import { backoffMs } from "../../time/backoff.ts";
import { sleep } from "../../time/wait.ts";
import { refused } from "../errors.ts";

/** Longer than a process takes to come back, on a busy machine too. */
const AGAIN_MS_MAX = 6_000;
const PACE = { firstMs: 20, mostMs: 250 };
/** What a caller beyond this platform is told. */
const RETRY_MS = 1_000;
/** Errors before anything was sent; after the others the request may have been carried out. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);

/**
 * Asks another process, and again for some seconds when it was not reached, so that a restart over there fails none here. A request that was sent and
 * whose connection then broke is sent again only if that is `harmless`. Throws UNAVAILABLE when it gives up; what `ask` throws otherwise passes.
 */
export async function untilReached<T>(
  what: string,
  ask: () => Promise<T>,
  { harmless, signal }: { harmless: boolean; signal: AbortSignal },
): Promise<T> {
  const giveUpAt = performance.now() + AGAIN_MS_MAX;
  for (let failures = 1; ; failures += 1) {
    const pause = backoffMs(failures, PACE);
    try {
      return await ask();
    } catch (error) {
      const broken = networkError(error);
      if (!broken || signal.aborted) throw error;
      if (!(harmless || NEVER_SENT.has(broken)) || performance.now() + pause > giveUpAt) {
        const refusal = refused(Code.Unavailable, "UNAVAILABLE", `${what} cannot be reached right now`, RETRY_MS);
        refusal.cause = error;
        throw refusal;
      }
    }
    await sleep(pause, signal);
  }
}

/** The runtime's code for what broke beneath HTTP, which is no ConnectError yet; undefined when somebody answered. */
function networkError(error: unknown): string | undefined {
  const code = error instanceof Error && !(error instanceof ConnectError) && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
