import { passwordProblem } from "./password.ts";
import { normaliseEmail } from "./user.ts";

export interface AuthConfig {
  /** The first start makes this admin; without a password it makes none. */
  adminEmail: string;
  adminPassword: string | undefined;
  /** Seals signing keys and keys the digests of codes; undefined: a secret made at the first start, kept in the database. */
  secret: string | undefined;
}

const ADMIN_EMAIL = "admin@bodega.test";
const SECRET_CHARS_MIN = 32;

export function readConfig(env: Record<string, string | undefined>): AuthConfig {
  const adminEmail = normaliseEmail(env["ADMIN_EMAIL"] || ADMIN_EMAIL);
  if (!/^[^\s@]+@[^\s@]+$/.test(adminEmail))
    throw new Error(`ADMIN_EMAIL must be an e-mail address, found ${adminEmail}`);
  const adminPassword = env["ADMIN_PASSWORD"] || undefined;
  const problem = adminPassword && passwordProblem(adminPassword, adminEmail);
  if (problem) throw new Error(`ADMIN_PASSWORD ${problem}`);
  const secret = env["AUTH_SECRET"] || undefined;
  if (secret && secret.length < SECRET_CHARS_MIN) {
    throw new Error(`AUTH_SECRET must have at least ${SECRET_CHARS_MIN} characters, found ${secret.length}`);
  }
  return { adminEmail, adminPassword, secret };
}
