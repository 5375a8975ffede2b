import { Code } from "@connectrpc/connect";
import { invalidField, refused } from "../../packages/service/errors.ts";
import commonPasswords from "./common-passwords.txt" with { type: "text" };

const PASSWORD_CHARS_MIN = 8;
/** OWASP's minimum: 19 MiB and two passes, about 44 ms of one core. */
const ARGON2ID = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;
/** Logins must not starve orders: two hashes at once, and a queue that is at most about five seconds long. */
const HASHES_AT_ONCE = 2;
const HASHES_WAITING_MAX = 192;
const BUSY_RETRY_MS = 2_000;
/** Verified where there is no user, so that an unknown address costs what a known one does. Its password was thrown away. */
const NOBODYS_HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$wapQcAqPeYOXlrdIiV464uFEKbQinpxp4q4WkmFpCdQ$mV8GnxF1M5iv81f0dZ73UBwdPmKJ5fpecZ7imPo4+ZA";

const COMMON = new Set(commonPasswords.split(/\s+/));
const gate = createGate(HASHES_AT_ONCE, HASHES_WAITING_MAX);

export function hashPassword(password: string): Promise<string> {
  return gate(() => Bun.password.hash(canonical(password), ARGON2ID));
}

export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const right = await gate(() => Bun.password.verify(canonical(password), hash ?? NOBODYS_HASH));
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

/** Lets `atOnce` run, up to `waitingMax` wait in order, and refuses the rest. */
export function createGate(atOnce: number, waitingMax: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async function pass<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (waiting.length >= waitingMax) {
        throw refused(
          Code.ResourceExhausted,
          "BUSY",
          "too many passwords are being checked at the moment: try again",
          BUSY_RETRY_MS,
        );
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      // The place is handed on, or given back.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}

/** Keyboards write one letter in several ways; nothing is cut off. */
function canonical(password: string): string {
  return password.normalize("NFC");
}
