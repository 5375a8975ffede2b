import type { MessageShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { UserRegistered, UserVerified } from "../../packages/api/facts.ts";
import { type RegisterRequestSchema, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { SendVerificationCode } from "../../packages/api/jobs.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { type Issued, issueCode } from "./code.ts";
import type { AuthConfig } from "./config.ts";
import { checkPassword, hashPassword } from "./password.ts";
import * as store from "./store.ts";
import { normaliseEmail, roleNames, rolesOf, type UserRow } from "./user.ts";

/**
 * A known address is answered like a new one, after the same work, with an id that is nobody's. If it is not verified yet it may get a new code;
 * its password stays: else whoever registers last, without having seen the mailbox, would choose it.
 */
export async function register(app: App<AuthConfig>, _caller: Caller, req: MessageShape<typeof RegisterRequestSchema>) {
  const email = normaliseEmail(req.email);
  checkPassword("password", req.password, email);
  if (/\p{Cc}/u.test(req.displayName)) throw invalidField("display_name", "must not contain control characters");
  const passwordHash = await hashPassword(req.password);
  return app.transact(async (tx) => {
    const user = newUser(app, { email, displayName: req.displayName, roles: [Role.CUSTOMER], verifiedAt: null });
    const fresh = await store.insertUser(tx.sql, { ...user, password_hash: passwordHash });
    const known = await store.findByEmail(tx.sql, email);
    if (!known) throw new Error(`user ${user.user_id} was neither there nor inserted`);
    const owner = known.verified_at ? null : known.user_id;
    const { issued } = await issueCode(app, tx, { purpose: "VERIFY_EMAIL", email, owner, always: fresh });
    if (issued) mailCode(tx, known, issued);
    if (fresh) emitRegistered(tx, user);
    return { userId: user.user_id };
  });
}

/** The first start makes the admin; it may run at every start, in several processes. */
export async function ensureAdmin(app: App<AuthConfig>): Promise<void> {
  const { adminEmail, adminPassword } = app.config;
  if (!adminPassword) return;
  const known = await store.findByEmail(app.sql, adminEmail);
  if (known) {
    if (!known.roles.includes("ROLE_ADMIN"))
      app.log.warn("admin.not-made", {
        because: "ADMIN_EMAIL belongs to a user who is no admin",
        user_id: known.user_id,
      });
    return;
  }
  const passwordHash = await hashPassword(adminPassword);
  await app.transact(async (tx) => {
    const roles = [Role.CUSTOMER, Role.ADMIN];
    const admin = newUser(app, { email: adminEmail, displayName: "Admin", roles, verifiedAt: app.clock.now() });
    if (!(await store.insertUser(tx.sql, { ...admin, password_hash: passwordHash }))) return;
    emitRegistered(tx, admin);
    emitVerified(tx, admin, admin.created_at);
  });
}

export function mailCode(tx: Tx, user: UserRow, { code, codeId, expiresAt }: Issued): void {
  const { user_id, email, display_name } = user;
  tx.enqueue(SendVerificationCode, {
    userId: user_id,
    email,
    displayName: display_name,
    code,
    codeId,
    expiresAt: timestampFromDate(expiresAt),
  });
}

export function emitVerified(tx: Tx, user: Pick<UserRow, "user_id" | "email">, at: Date): void {
  tx.emit(UserVerified, { userId: user.user_id, email: user.email, verifiedAt: timestampFromDate(at) });
}

function emitRegistered(tx: Tx, user: UserRow) {
  tx.emit(UserRegistered, {
    userId: user.user_id,
    email: user.email,
    displayName: user.display_name,
    roles: rolesOf(user.roles),
    registeredAt: timestampFromDate(user.created_at),
  });
}

function newUser(
  app: App<AuthConfig>,
  {
    email,
    displayName,
    roles,
    verifiedAt,
  }: { email: string; displayName: string; roles: Role[]; verifiedAt: Date | null },
): UserRow {
  return {
    user_id: app.random.id(),
    email,
    display_name: displayName,
    roles: roleNames(roles),
    created_at: app.clock.now(),
    verified_at: verifiedAt,
  };
}
