import { isMailAddress } from "../../packages/service/mail-address.ts";
import { type Environment, readSecret, readSwitch } from "../../packages/service/variables.ts";
import { passwordProblem } from "./password.ts";
import { normaliseEmail } from "./user.ts";

export interface AuthConfig {
  /** The first start makes this admin; without a password it makes none. */
  adminEmail: string;
  adminPassword: string | undefined;
  /** Seals signing keys and keys the digests of codes; undefined: a secret made at the first start, kept in the database. */
  secret: string | undefined;
  /** An admin without a second factor is none. */
  adminTotp: boolean;
}

const ADMIN_EMAIL = "admin@bodega.test";

export function readConfig(env: Environment): AuthConfig {
  const adminEmail = normaliseEmail(env["ADMIN_EMAIL"] || ADMIN_EMAIL);
  if (!isMailAddress(adminEmail)) throw new Error(`ADMIN_EMAIL must be an e-mail address, found ${adminEmail}`);
  const adminPassword = env["ADMIN_PASSWORD"] || undefined;
  const problem = adminPassword && passwordProblem(adminPassword, adminEmail);
  if (problem) throw new Error(`ADMIN_PASSWORD ${problem}`);
  const adminTotp = readSwitch(env, "REQUIRE_ADMIN_TOTP", false);
  return { adminEmail, adminPassword, secret: readSecret(env, "AUTH_SECRET"), adminTotp };
}
