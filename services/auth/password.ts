import { argon2, createHmac } from "node:crypto";
import { promisify } from "node:util";
import type { Caller } from "../../packages/service/caller.ts";
import { invalidField } from "../../packages/service/errors.ts";
import { createFairGate, type Turn } from "../../packages/service/fair-gate.ts";
import commonPasswords from "./common-passwords.txt" with { type: "text" };

const PASSWORD_CHARS_MIN = 8;
/** OWASP's minimum: 19 MiB and two passes, about 44 ms of one core. */
const ARGON2ID = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 };
const SALT_BYTES = 16;
/** Logins must not starve orders: two hashes at once, and a queue that is at most about five seconds long. */
const HASHES_AT_ONCE = 2;
const HASHES_WAITING_MAX = 192;
/**
 * Verified where there is no user, so that an unknown address costs what a known one does, and kept where nobody has shown to have chosen the password.
 * Its password was thrown away.
 */
export const NOBODYS_HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$wapQcAqPeYOXlrdIiV464uFEKbQinpxp4q4WkmFpCdQ$mV8GnxF1M5iv81f0dZ73UBwdPmKJ5fpecZ7imPo4+ZA";

const argon2id = promisify(argon2);
const COMMON = new Set(commonPasswords.split(/\s+/));
const BUSY = "too many passwords are being checked at the moment: try again";
const gate = createFairGate(HASHES_AT_ONCE, HASHES_WAITING_MAX, BUSY);

/** The turn of a stranger's call; `known` where its user has logged in from its network before. */
export function turnOf({ network }: Caller, signal: AbortSignal, known = false): Turn {
  return { key: network, known, signal };
}

/** The turn of what nobody asked for. */
export const OURS: Turn = { key: "", known: true, signal: new AbortController().signal };

/** Waits until it is the caller's turn. In PHC's format, as verifiers read it; `salt` is 16 bytes. */
export async function hashPassword(password: string, salt: Uint8Array, turn: Turn): Promise<string> {
  const message = canonical(password);
  const tag = await gate.pass(turn, () => argon2id("argon2id", { ...ARGON2ID, message, nonce: salt }));
  return `$argon2id$v=19$m=${ARGON2ID.memory},t=${ARGON2ID.passes},p=${ARGON2ID.parallelism}$${base64(salt)}$${base64(tag)}`;
}

/** The same for one address, another for each, and known to nobody without the secret. */
export function saltOf(secret: Uint8Array, email: string): Uint8Array {
  return createHmac("sha256", secret).update(email).digest().subarray(0, SALT_BYTES);
}

export async function verifyPassword(password: string, hash: string | undefined, turn: Turn): Promise<boolean> {
  const right = await gate.pass(turn, () => Bun.password.verify(canonical(password), hash ?? NOBODYS_HASH));
  return right && hash !== undefined;
}

/** What is wrong with a password somebody wants to have; undefined when nothing is. */
export function passwordProblem(password: string, email: string): string | undefined {
  const characters = [...password].length;
  if (characters < PASSWORD_CHARS_MIN)
    return `must have at least ${PASSWORD_CHARS_MIN} characters, found ${characters}`;
  const plain = password.toLowerCase();
  if (COMMON.has(plain)) return "is one of the most common passwords: choose another";
  if (plain === email || plain === email.split("@")[0]) return "must not be the e-mail address: choose another";
  return undefined;
}

export function checkPassword(field: string, password: string, email: string): void {
  const problem = passwordProblem(password, email);
  if (problem) throw invalidField(field, problem);
}

/** Keyboards write one letter in several ways; nothing is cut off. */
function canonical(password: string): string {
  return password.normalize("NFC");
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}
