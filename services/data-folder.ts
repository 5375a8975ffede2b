import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { StartError } from "../packages/database/start-error.ts";
import type { Anchor } from "../packages/service/clock.ts";

export interface Secrets {
  /** The passwords of the services' database roles follow from it. */
  database: string;
  /** The first admin's, unless ADMIN_PASSWORD names another. */
  adminPassword: string;
}

/** Made at the first start, kept for the owner's eyes only. */
export function keptSecrets(path: string): Secrets {
  const kept = readJson<Partial<Secrets>>(path);
  const secrets = { database: kept?.database ?? secret(32), adminPassword: kept?.adminPassword ?? secret(12) };
  if (!kept?.database || !kept.adminPassword) writeJson(path, secrets);
  return secrets;
}

interface KeptClock extends Anchor {
  scale: number;
}

/** Business time never steps back, whatever scale the last run had: this run goes on from where that one would be now. */
export function anchorFor(path: string, scale: number): Anchor {
  const kept = readJson<KeptClock>(path);
  const real = Date.now();
  if (!kept && scale === 1) return { real, business: real };
  const business = kept ? kept.business + (real - kept.real) * kept.scale : real;
  const anchor = { real, business: Math.max(business, real) };
  writeJson(path, { ...anchor, scale });
  return anchor;
}

function readJson<T>(path: string): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new StartError(
      `${path} is not readable as JSON: bring it back from a backup, or remove it to have it made anew.`,
      { cause: error },
    );
  }
}

/** Whole or not at all: written beside and renamed. */
function writeJson(path: string, value: object) {
  const beside = `${path}.new`;
  writeFileSync(beside, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(beside, path);
}

function secret(bytes: number): string {
  return randomBytes(bytes).toString("base64url");
}
