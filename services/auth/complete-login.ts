import type { MessageShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { CompleteLoginRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { userById } from "./own-account.ts";
import { hashToken, newSession, openSession, pairOf } from "./session.ts";
import * as store from "./store.ts";
import { throttleSecondFactor } from "./throttle.ts";
import * as ticketStore from "./ticket-store.ts";
import { codeWrong, takeCode } from "./totp.ts";
import { sendNotice } from "./user.ts";

const GUESSES_MAX = 5;

/** The password was right when Login gave the challenge, and must be the same still. Whoever uses all guesses up has it, so the owner is told. */
export async function completeLogin(
  app: App<AuthConfig>,
  { network }: Caller,
  { challenge, code }: MessageShape<typeof CompleteLoginRequestSchema>,
) {
  const challengeHash = hashToken(challenge);
  const userId = await ticketStore.challengedUser(app.sql, challengeHash, app.clock.now());
  const user = userId && (await userById(app, userId, network));
  if (!user) throw over();
  await throttleSecondFactor(app, user, network);
  const session = await newSession(app, user);
  const outcome = await app.transact(async (tx) => {
    const login = await ticketStore.countChallenge(tx.sql, challengeHash, GUESSES_MAX, app.clock.now());
    const { password_hash = "", guesses = 0 } = login ?? {};
    if (!login || !user.totp_since) return "over";
    const taken = await takeCode(app, tx, user.user_id, code);
    if (!taken && guesses === GUESSES_MAX) sendNotice(app, tx, user, AccountNotice.SECOND_FACTOR_GUESSED, network);
    if (!taken) return "wrong";
    if (!(await store.stillLetsIn(tx.sql, { ...user, password_hash }))) return "over";
    await ticketStore.closeChallenge(tx.sql, challengeHash);
    if (taken === "recovery") sendNotice(app, tx, user, AccountNotice.RECOVERY_CODE_USED, network);
    await openSession(app, tx, user, network, session);
    return "open";
  });
  // Refused only now: the guess had to be counted.
  if (outcome === "over") throw over();
  if (outcome === "wrong") throw codeWrong(Code.Unauthenticated);
  return pairOf(session);
}

function over() {
  const why = "this login does not wait for a code, or not any more: log in again";
  return refused(Code.Unauthenticated, "CHALLENGE_INVALID", why);
}
