import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { LoginRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { table } from "../../packages/database/table.ts";
import type { App } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { refused } from "../../packages/service/errors.ts";
import type { AuthConfig } from "./config.ts";
import { turnOf, verifyPassword } from "./password.ts";
import { hashToken, newSession, newToken, openSession, pairOf } from "./session.ts";
import * as store from "./store.ts";
import { throttleLogin } from "./throttle.ts";
import * as ticketStore from "./ticket-store.ts";
import { findRegistration } from "./tickets.ts";
import { accountBlocked, digestOf, normaliseEmail } from "./user.ts";

const CHALLENGE_LIFE_MS = 5 * 60_000;

/** Only who knows the password learns that the address is there, that it is not verified, or that there is a second factor. */
export async function login(
  app: App<AuthConfig>,
  caller: Caller,
  req: MessageShape<typeof LoginRequestSchema>,
  signal: AbortSignal,
) {
  const email = normaliseEmail(req.email);
  const { network } = caller;
  const user = await store.findCredentials(app.sql, email, digestOf(network));
  const loginsFromHere = user?.logins_from_here ?? 0;
  await throttleLogin(app, email, network, loginsFromHere);
  const turn = turnOf(caller, signal, loginsFromHere > 0);
  const right = await verifyPassword(req.password, user?.password_hash, turn);
  if (!right || !user) {
    // Whoever registered an address that has an account is told the same as whoever registered a free one.
    const registered = await findRegistration(app, app.sql, email, network);
    const theirs = registered?.password_hash && (await verifyPassword(req.password, registered.password_hash, turn));
    throw theirs ? notVerified() : wrong();
  }
  if (!user.verified_at) throw notVerified();
  if (user.blocked_at) throw accountBlocked();

  if (user.totp_since) return challengeOf(app, user);
  const session = await newSession(app, user);
  await app.transact(async (tx) => {
    // What was changed in the meantime, such as the password, opens nothing.
    if (!(await store.stillLetsIn(tx.sql, user))) throw wrong();
    await openSession(app, tx, user, network, session);
  });
  return pairOf(session);
}

const LOGIN_CHALLENGES = table("login_challenges", {
  challenge_hash: "bytea",
  user_id: "uuid",
  password_hash: "text",
  expires_at: "timestamptz",
});

/** The password alone opens nothing: complete-login.ts */
async function challengeOf(app: App<AuthConfig>, user: store.CredentialsRow) {
  const challenge = newToken(app);
  const now = app.clock.now();
  const expires_at = new Date(now.getTime() + CHALLENGE_LIFE_MS);
  const { user_id, password_hash } = user;
  await app.transact(async (tx) => {
    await ticketStore.deleteChallengesOver(tx.sql, now);
    tx.insert(LOGIN_CHALLENGES, { challenge_hash: hashToken(challenge), user_id, password_hash, expires_at });
  });
  return { challenge, expiresAt: timestampFromDate(expires_at) };
}

function notVerified() {
  const message = "the e-mail address is not verified: enter the mailed code first";
  return refused(Code.FailedPrecondition, "EMAIL_NOT_VERIFIED", message);
}

function wrong() {
  return refused(Code.Unauthenticated, "CREDENTIALS_INVALID", "the e-mail address or the password is wrong");
}
