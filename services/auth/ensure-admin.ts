import { Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import type { App } from "../../packages/service/app.ts";
import type { AuthConfig } from "./config.ts";
import { hashPassword, OURS } from "./password.ts";
import * as store from "./store.ts";
import { emitRegistered, emitVerified, newUser } from "./user.ts";

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
  const passwordHash = await hashPassword(adminPassword, app.random.bytes(16), OURS);
  await app.transact(async (tx) => {
    const roles = [Role.CUSTOMER, Role.ADMIN];
    const made = newUser(app.random.id(), { email: adminEmail, displayName: "Admin", roles }, app.clock.now());
    const admin = await store.saveVerified(tx.sql, { ...made, password_hash: passwordHash });
    if (!admin) return;
    emitRegistered(tx, admin);
    emitVerified(tx, admin, made.created_at);
  });
}
