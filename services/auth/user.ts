import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { UserRegistered, UserVerified } from "../../packages/api/facts.ts";
import { type Role, RoleSchema, type UserSchema } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { SendAccountNotice } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { invalidField, refused } from "../../packages/service/errors.ts";
import { isMailAddress } from "../../packages/service/mail-address.ts";

export interface UserRow {
  user_id: string;
  email: string;
  display_name: string;
  roles: string[];
  created_at: Date;
  verified_at: Date | null;
  /** When an admin closed the account. */
  blocked_at: Date | null;
  /** Since when Login asks for a second factor. */
  totp_since: Date | null;
}

/** One mailbox, one user: what identifies a user is the address without case and outer space. */
export function normaliseEmail(email: string): string {
  return email.trim().toLowerCase();
}

export function checkEmail(field: string, email: string): void {
  if (!isMailAddress(email)) throw invalidField(field, "is not an address that mail can be sent to");
}

/** As mail programs make links of it, with or without a scheme. Initials before a name, as in J.Doe, are none. */
const WEB_ADDRESS = /[/\\@]|\bwww\.|[\p{L}\p{N}-]{2,}\.\p{L}{2,}|[\p{L}\p{N}]\.\p{Ll}{2,}/iu;
/** What is not seen, or changes how what is around it is seen: control and format characters, directions, line ends, what has no meaning. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u;

/** Names come from strangers and stand in mails and on screens of others. */
export function checkName(field: string, name: string): void {
  if (UNSEEN.test(name)) throw invalidField(field, "must not contain control, format or direction characters");
  if (WEB_ADDRESS.test(name))
    throw invalidField(field, "must not contain what could be an address of the web: write a space after a dot");
}

/** What stands for an address where the address itself need not be known. */
export function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

export function toUser(row: UserRow): MessageInitShape<typeof UserSchema> {
  return {
    userId: row.user_id,
    email: row.email,
    displayName: row.display_name,
    roles: rolesOf(row.roles),
    verified: row.verified_at !== null,
    createdAt: timestampFromDate(row.created_at),
    blocked: row.blocked_at !== null,
    totp: row.totp_since !== null,
  };
}

export function rolesOf(names: string[]): Role[] {
  return names.map((name) => {
    const role = RoleSchema.values.find((value) => value.name === name);
    if (!role) throw new Error(`the database holds a role ${name}, which the API does not know`);
    return role.number as Role; // One of the enum's own values.
  });
}

/** What a user may do now: where admins need a second factor, an admin without one is none. A passkey is one, for the session that it opened. */
export function rolesNow(
  { adminTotp }: { adminTotp: boolean },
  { roles, totp_since }: Pick<UserRow, "roles" | "totp_since">,
  byPasskey: boolean,
): Role[] {
  return rolesOf(adminTotp && !totp_since && !byPasskey ? roles.filter((role) => role !== "ROLE_ADMIN") : roles);
}

export function roleNames(roles: readonly Role[]): string[] {
  return [...roles]
    .sort((a, b) => a - b)
    .map((role) => {
      const name = RoleSchema.value[role]?.name;
      if (!name) throw new Error(`there is no role ${role}`);
      return name;
    });
}

/** Who has proven the address. */
export function newUser(
  user_id: string,
  { email, displayName, roles }: { email: string; displayName: string; roles: Role[] },
  now: Date,
): UserRow {
  return {
    user_id,
    email,
    display_name: displayName,
    roles: roleNames(roles),
    created_at: now,
    verified_at: now,
    blocked_at: null,
    totp_since: null,
  };
}

export function emitRegistered(tx: Tx, user: UserRow) {
  tx.emit(UserRegistered, {
    userId: user.user_id,
    email: user.email,
    displayName: user.display_name,
    roles: rolesOf(user.roles),
    registeredAt: timestampFromDate(user.created_at),
  });
}

export function emitVerified(tx: Tx, user: Pick<UserRow, "user_id" | "email">, at: Date): void {
  tx.emit(UserVerified, { userId: user.user_id, email: user.email, verifiedAt: timestampFromDate(at) });
}

/** To the address that the row has. */
export function sendNotice(app: App, tx: Tx, user: UserRow, notice: AccountNotice, network: string): void {
  const { user_id: userId, email, display_name: displayName } = user;
  const at = timestampFromDate(app.clock.now());
  tx.enqueue(SendAccountNotice, { userId, email, displayName, noticeId: app.random.id(), notice, network, at });
}

/** Only who has shown the password or a passkey is told. */
export function accountBlocked() {
  return refused(Code.PermissionDenied, "ACCOUNT_BLOCKED", "this account was closed by an admin: ask the shop");
}

/** Between the check of a password and what it was for. */
export function passwordChangedMeanwhile() {
  const what = "the password or the second factor was changed at the same time, or the account closed";
  return refused(Code.Aborted, "PASSWORD_CHANGED", what);
}
