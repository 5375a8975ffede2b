import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { StartError } from "../packages/database/start-error.ts";
import type { Anchor } from "../packages/time/clock.ts";

export interface Secrets {
  /** The passwords of the services' database roles follow from it. */
  database: string;
  /** Values of variables that are made where nobody sets them, by the variables' names. */
  made: Record<string, string>;
  /** Which of these were made right now, and not at a start before. */
  fresh: string[];
}

/** Made at the first start, kept for the owner's eyes only. `variables` is what the services want made. */
export function keptSecrets(path: string, variables: string[]): Secrets {
  const kept = readJson<Record<string, string>>(path) ?? {};
  const wanted = new Map([["database", 32], ...variables.map((name) => [keyOf(name), bytesOf(name)] as const)]);
  const missing = Array.from(wanted).filter(([key]) => !kept[key]);
  const secrets = { ...kept, ...Object.fromEntries(missing.map(([key, bytes]) => [key, randomText(bytes)])) };
  if (missing.length > 0) writeJson(path, secrets);
  const of = (key: string) => secrets[key] ?? "";
  return {
    database: of("database"),
    made: Object.fromEntries(variables.map((name) => [name, of(keyOf(name))])),
    fresh: variables.filter((name) => missing.some(([key]) => key === keyOf(name))),
  };
}

/** A person types a password; nobody types a secret. */
function bytesOf(variable: string): number {
  return variable.endsWith("_SECRET") ? 32 : 12;
}

/** ADMIN_PASSWORD is kept as adminPassword. */
function keyOf(variable: string): string {
  return variable.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
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

/** A value for a variable that nobody has set. */
export function madeSecret(variable: string): string {
  return randomText(bytesOf(variable));
}

function randomText(bytes: number): string {
  return randomBytes(bytes).toString("base64url");
}
