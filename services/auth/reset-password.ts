import type { MessageShape } from "@bufbuild/protobuf";
import { type ResetPasswordRequestSchema, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { checkPassword, hashPassword, turnOf, verifyPassword } from "./password.ts";
import * as store from "./store.ts";
import { throttleCode } from "./throttle.ts";
import * as ticketStore from "./ticket-store.ts";
import { codeInvalid, findRegistration, type Guess, tryCode } from "./tickets.ts";
import { digestOf, emitRegistered, emitVerified, newUser, normaliseEmail, sendNotice } from "./user.ts";

/** Repeated within the life of the code, with the same password, it answers alike and does nothing: the answer may have been lost. */
export async function resetPassword(
  app: App<AuthConfig>,
  caller: Caller,
  { email: address, code, ticket, newPassword }: MessageShape<typeof ResetPasswordRequestSchema>,
  signal: AbortSignal,
) {
  const guess = { email: normaliseEmail(address), network: caller.network, code, ticket };
  checkPassword("new_password", newPassword, guess.email);
  await throttleCode(app, "RESET_PASSWORD", guess);
  const turn = turnOf(caller, signal);
  const passwordHash = await hashPassword(newPassword, app.random.bytes(16), turn);
  const redeemed = await app.transact((tx) =>
    setPassword(app, tx, { purpose: "RESET_PASSWORD", ...guess }, passwordHash),
  );
  if (redeemed === undefined) throw codeInvalid();
  if (redeemed !== passwordHash && !(await verifyPassword(newPassword, redeemed, turn))) throw codeInvalid();
  return {};
}

/** The digest of the password that the code was redeemed for, now or before; undefined when it is no good. */
async function setPassword(
  app: App<AuthConfig>,
  tx: Tx,
  guess: Guess,
  passwordHash: string,
): Promise<string | undefined> {
  const row = await tryCode(app, tx, guess);
  if (!row?.user_id) return undefined;
  if (row.redeemed_at) return row.password_hash ?? undefined;
  const now = app.clock.now();
  if (!(await store.setPassword(tx.sql, row.user_id, passwordHash))) {
    const made = await makeUser(app, tx, guess, row.user_id, passwordHash);
    if (!made) return undefined;
  }
  await store.endSessionsOf(tx.sql, row.user_id, "PASSWORD_RESET", now);
  await store.forgetNetworks(tx.sql, row.user_id);
  await store.rememberNetwork(tx.sql, row.user_id, digestOf(guess.network), now);
  // The code was mailed, so it proves the address as well: a user of a former release, who is not verified, is verified by it.
  const user = await store.setVerified(tx.sql, row.user_id, now);
  if (user) emitVerified(tx, user, now);
  const owner = await store.findById(tx.sql, row.user_id);
  if (owner) sendNotice(app, tx, owner, AccountNotice.PASSWORD_CHANGED, guess.network);
  const where = { purpose: guess.purpose, address_hash: digestOf(guess.email) };
  await ticketStore.closeTickets(tx.sql, where, row.ticket_hash, null);
  await ticketStore.redeem(tx.sql, { ...row, password_hash: passwordHash }, now);
  return passwordHash;
}

/** Who registered, never entered that code, and now chose another password with this one. */
async function makeUser(
  app: App<AuthConfig>,
  tx: Tx,
  { email, network }: Guess,
  userId: string,
  password_hash: string,
) {
  const registration = await findRegistration(app, tx.sql, email, network);
  // A name that was chosen elsewhere may be a stranger's.
  const near = registration !== undefined && digestOf(network).equals(registration.network_hash);
  const displayName = (near && registration.display_name) || "";
  const fresh = newUser(userId, { email, displayName, roles: [Role.CUSTOMER] }, app.clock.now());
  const user = await store.saveVerified(tx.sql, { ...fresh, password_hash });
  if (!user) return undefined;
  emitRegistered(tx, user);
  emitVerified(tx, user, fresh.created_at);
  const where = { purpose: "REGISTER", address_hash: digestOf(email) } as const;
  await ticketStore.closeTickets(tx.sql, where, new Uint8Array(32), registration?.password_hash ?? null);
  return user;
}
