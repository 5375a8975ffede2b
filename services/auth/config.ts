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
  /** Undefined: there are none. */
  passkeys: PasskeyConfig | undefined;
}

export interface PasskeyConfig {
  /** The host that passkeys are for, and all under it (the relying party's id). */
  rpId: string;
  /** Of the pages that may ask for them. */
  origins: string[];
}

const ADMIN_EMAIL = "admin@bodega.test";

export function readConfig(env: Environment): AuthConfig {
  const adminEmail = normaliseEmail(env["ADMIN_EMAIL"] || ADMIN_EMAIL);
  if (!isMailAddress(adminEmail)) throw new Error(`ADMIN_EMAIL must be an e-mail address, found ${adminEmail}`);
  const adminPassword = env["ADMIN_PASSWORD"] || undefined;
  const problem = adminPassword && passwordProblem(adminPassword, adminEmail);
  if (problem) throw new Error(`ADMIN_PASSWORD ${problem}`);
  const adminTotp = readSwitch(env, "REQUIRE_ADMIN_TOTP", false);
  const secret = readSecret(env, "AUTH_SECRET");
  return { adminEmail, adminPassword, secret, adminTotp, passkeys: readPasskeys(env) };
}

/** Without PASSKEY_RP_ID it is the host that all others are under: which of its parents could be one, only a list of public suffixes says. */
function readPasskeys(env: Environment): PasskeyConfig | undefined {
  const origins = [...new Set((env["PASSKEY_ORIGINS"] ?? "").split(",").flatMap((origin) => origin.trim() || []))];
  const chosen = env["PASSKEY_RP_ID"]?.trim();
  if (origins.length === 0 && chosen) throw new Error("PASSKEY_RP_ID is set without PASSKEY_ORIGINS: set both or none");
  if (origins.length === 0) return undefined;
  const hosts = origins.map(hostOf);
  const under = (host: string, rpId: string) => host === rpId || host.endsWith(`.${rpId}`);
  const rpId = chosen || hosts.find((host) => hosts.every((other) => under(other, host)));
  if (!rpId)
    throw new Error(
      `PASSKEY_ORIGINS has no host that all others are under: set PASSKEY_RP_ID, found ${hosts.join(", ")}`,
    );
  if (!isName(rpId)) throw new Error(`PASSKEY_RP_ID must be the name of a host such as shop.example, found ${rpId}`);
  const stranger = hosts.find((host) => !under(host, rpId));
  if (stranger)
    throw new Error(`PASSKEY_ORIGINS must all be ${rpId} or under it, as PASSKEY_RP_ID is, found ${stranger}`);
  return { rpId, origins };
}

/** As browsers write origins, and as they let passkeys be used. */
function hostOf(origin: string): string {
  const { protocol, hostname, origin: written } = URL.canParse(origin) ? new URL(origin) : NO_URL;
  const local = hostname === "localhost" || hostname.endsWith(".localhost");
  if (written !== origin || !(protocol === "https:" || (protocol === "http:" && local)) || !isName(hostname))
    throw new Error(
      `PASSKEY_ORIGINS must be origins such as https://shop.example, by comma, with http for localhost only, found ${origin}`,
    );
  return hostname;
}

const NO_URL = { protocol: "", hostname: "", origin: "" };

/** No address of the network: the last label of a name has a letter. One label alone is a public suffix, but for localhost. */
function isName(host: string): boolean {
  const labels = host.split(".");
  const shape = labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  return host === "localhost" || (shape && labels.length > 1 && /[a-z]/.test(labels.at(-1) ?? ""));
}
