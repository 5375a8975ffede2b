import { Code } from "@connectrpc/connect";
import type { Budget } from "../../packages/locks/locks.ts";
import type { App } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import { digestOf } from "./user.ts";

/** Failed logins in a row of one account from one network. A success begins a new row. */
const FROM_ONE_NETWORK: Budget = { perSecond: 1 / 10, burst: 10 };
/** Logins of one account from networks it was never used from. */
const FROM_STRANGERS: Budget = { perSecond: 1 / 10, burst: 30 };
/** Codes tried for one address: with five guesses a code and a code a minute, a month of trying finds one in a hundred. */
const CODE_GUESSES: Budget = { perSecond: 1 / 300, burst: 20 };

/** Slows guessing down without ever locking the user out: where a user has logged in before, strangers do not count. */
export async function throttleLogin(app: App, email: string, network: string, loginsFromHere: number): Promise<void> {
  const account = digestOf(email).toString("base64url");
  await spend(app, `login:${account}:${network}:${loginsFromHere}`, FROM_ONE_NETWORK);
  if (loginsFromHere === 0) await spend(app, `login:${account}`, FROM_STRANGERS);
}

export async function throttleCode(app: App, purpose: string, email: string): Promise<void> {
  await spend(app, `code:${purpose}:${digestOf(email).toString("base64url")}`, CODE_GUESSES);
}

/** The network an address belongs to: of IPv6 the first half, because one customer has all of a /64. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped || !address.includes(":")) return mapped ?? address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = head ? head.split(":") : [];
  const right = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

async function spend(app: App, key: string, budget: Budget): Promise<void> {
  const { allowed, retryAfterMs } = await app.locks.take(key, budget);
  if (allowed) return;
  throw refused(
    Code.ResourceExhausted,
    "TOO_MANY_ATTEMPTS",
    "too many attempts for this address: wait and try again",
    retryAfterMs,
  );
}
