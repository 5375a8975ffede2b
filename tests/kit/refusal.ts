import { type Code, ConnectError } from "@connectrpc/connect";
import { reasonOf, retryAfterMs } from "../../packages/service/errors.ts";

export interface Refusal {
  code: Code;
  reason: string | undefined;
  message: string;
  retryMs: number | undefined;
}

/** What a call is refused with. Throws when it is not. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  return asRefusal(
    await call.then(
      () => "answered",
      (error: unknown) => error,
    ),
  );
}

/** The same of a function. */
export function refusalOf(work: () => unknown): Refusal {
  try {
    return asRefusal(work());
  } catch (error) {
    return asRefusal(error);
  }
}

function asRefusal(outcome: unknown): Refusal {
  if (!(outcome instanceof ConnectError)) throw new Error(`expected a refusal, found ${Bun.inspect(outcome)}`);
  const { code, rawMessage: message } = outcome;
  return { code, reason: reasonOf(outcome), message, retryMs: retryAfterMs(outcome) };
}
