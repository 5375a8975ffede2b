import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { ResendVerificationRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { mailCode } from "./register.ts";
import { renewCode } from "./tickets.ts";
import { normaliseEmail } from "./user.ts";

/** Addresses that nobody registers, or that have an account, have the same cooldown and get no mail. */
export async function resendVerification(
  app: App<AuthConfig>,
  caller: Caller,
  { email: address, ticket }: MessageShape<typeof ResendVerificationRequestSchema>,
) {
  const email = normaliseEmail(address);
  const place = { purpose: "REGISTER", email, network: caller.network } as const;
  const retryMs = await app.transact(async (tx) => {
    const { mailed, userId, retryMs } = await renewCode(app, tx, place, ticket);
    if (mailed) mailCode(tx, { userId: userId ?? app.random.id(), email, toNobody: userId === null }, mailed);
    return retryMs;
  });
  if (retryMs > 0)
    throw refused(Code.ResourceExhausted, "RESEND_COOLDOWN", "a code can be asked for once a minute", retryMs);
  return {};
}
