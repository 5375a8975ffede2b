import { type Code, ConnectError } from "@connectrpc/connect";
import { reasonOf, retryAfterMs } from "../packages/service/errors.ts";

export interface Refusal {
  code: Code;
  reason: string | undefined;
  message: string;
  retryMs: number | undefined;
}

/** What a call is refused with. Throws when it is not. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const outcome = await call.then(
    () => "answered",
    (error: unknown) => error,
  );
  if (!(outcome instanceof ConnectError)) throw new Error(`expected a refusal, found ${Bun.inspect(outcome)}`);
  const { code, rawMessage: message } = outcome;
  return { code, reason: reasonOf(outcome), message, retryMs: retryAfterMs(outcome) };
}
