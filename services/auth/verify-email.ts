import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserEmailChanged } from "../../packages/api/facts.ts";
import { Role, type VerifyEmailRequestSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import type { AuthConfig } from "./config.ts";
import { NOBODYS_HASH } from "./password.ts";
import * as store from "./store.ts";
import { throttleCode } from "./throttle.ts";
import * as ticketStore from "./ticket-store.ts";
import { codeInvalid, type Guess, tryCode } from "./tickets.ts";
import { digestOf, emitRegistered, emitVerified, newUser, normaliseEmail, sendNotice } from "./user.ts";

/** Makes the user whom the code's ticket stands for. Repeated within the life of the code it answers alike: the answer may have been lost. */
export async function verifyEmail(
  app: App<AuthConfig>,
  caller: Caller,
  { email: address, code, ticket }: MessageShape<typeof VerifyEmailRequestSchema>,
) {
  const guess = { email: normaliseEmail(address), network: caller.network, code, ticket };
  await throttleCode(app, "REGISTER", guess);
  const answer = await app.transact(
    async (tx) =>
      (await makeUser(app, tx, { purpose: "REGISTER", ...guess })) ??
      (ticket ? await moveAccount(app, tx, { purpose: "CHANGE_EMAIL", ...guess }) : undefined),
  );
  // Refused only now: the guess had to be counted.
  if (!answer) throw codeInvalid();
  return answer;
}

async function makeUser(app: App<AuthConfig>, tx: Tx, guess: Guess): Promise<{ passwordNeeded: boolean } | undefined> {
  const row = await tryCode(app, tx, guess);
  if (!row) return undefined;
  const { password_hash, display_name, user_id } = row;
  if (row.redeemed_at) return { passwordNeeded: row.password_needed };
  if (password_hash === null || display_name === null || user_id === null)
    throw new Error(`a ticket to register user ${user_id} lacks what was chosen`);

  const theirs = guess.ticket !== "" || (await choseAlone(app, tx, guess, row));
  const now = app.clock.now();
  const chosen = { email: guess.email, displayName: display_name, roles: [Role.CUSTOMER] };
  const password = theirs ? password_hash : NOBODYS_HASH;
  const user = await store.saveVerified(tx.sql, { ...newUser(user_id, chosen, now), password_hash: password });
  if (!user) return undefined; // The address got an account on another way.
  const where = { purpose: guess.purpose, address_hash: digestOf(guess.email) };
  await ticketStore.closeTickets(tx.sql, where, row.ticket_hash, password_hash);
  await ticketStore.redeem(tx.sql, { ...row, password_needed: !theirs }, now);
  await store.rememberNetwork(tx.sql, user.user_id, digestOf(guess.network), now);
  emitRegistered(tx, user);
  emitVerified(tx, user, now);
  return { passwordNeeded: !theirs };
}

/** Both the account's token and the new mailbox have been shown. Codes that are out for the old one open nothing any more, and its reader is told. */
async function moveAccount(app: App<AuthConfig>, tx: Tx, guess: Guess): Promise<{ passwordNeeded: false } | undefined> {
  const row = await tryCode(app, tx, guess);
  if (!row?.user_id) return undefined;
  if (row.redeemed_at) return { passwordNeeded: false };
  const before = await store.setEmail(tx.sql, { ...row, user_id: row.user_id }, guess.email);
  if (!before) return undefined;
  const now = app.clock.now();
  const where = { purpose: guess.purpose, address_hash: digestOf(guess.email) };
  await ticketStore.closeTickets(tx.sql, where, row.ticket_hash, null);
  await ticketStore.redeem(tx.sql, row, now);
  await ticketStore.closeAddress(tx.sql, digestOf(before.email));
  tx.emit(UserEmailChanged, {
    userId: before.user_id,
    email: guess.email,
    displayName: before.display_name,
    changedAt: timestampFromDate(now),
  });
  sendNotice(app, tx, before, AccountNotice.EMAIL_CHANGED, guess.network);
  return { passwordNeeded: false };
}

/**
 * A code without its ticket shows who reads the mailbox, not who chose the password: a stranger may have registered the address before or after its owner.
 * They are taken for one where the code is redeemed from the network that asked for it and nobody there chose another password.
 */
async function choseAlone(app: App, tx: Tx, { email, network }: Guess, row: ticketStore.TicketRow): Promise<boolean> {
  const here = digestOf(network);
  const chosen = await ticketStore.passwordsChosen(tx.sql, digestOf(email), here, app.clock.now());
  return here.equals(row.network_hash) && chosen.length === 1;
}
