import { Code } from "@connectrpc/connect";
import type { Budget } from "../../packages/locks/locks.ts";
import type { App } from "../../packages/service/app.ts";
import { refused } from "../../packages/service/errors.ts";
import { digestOf } from "./user.ts";

/** Failed logins in a row of one account from one network. A success begins a new row. */
const FROM_ONE_NETWORK: Budget = { perSecond: 1 / 10, burst: 10 };
/** Logins of one account from networks it was never used from. */
const FROM_STRANGERS: Budget = { perSecond: 1 / 10, burst: 30 };
/** Places that strangers cannot take from each other: a few a day for each network, up to a number of networks. */
const OF_A_NEW_NETWORK: Budget = { perSecond: 3 / 86_400, burst: 3 };
const OF_NEW_NETWORKS: Budget = { perSecond: 300 / 86_400, burst: 300 };
/** Codes tried without a ticket, for one address from one network. */
const CODE_GUESSES: Budget = { perSecond: 1 / 300, burst: 20 };

/** Codes of a second factor: three of a million are right, so a year of guesses finds one with a chance of a tenth. */
const SECOND_FACTORS: Budget = { perSecond: 1 / 900, burst: 10 };
/** Logins by passkey from one network, begun and completed. Nobody guesses a signature: it bounds the work, and a page that only shows its login begins one. */
const PASSKEYS: Budget = { perSecond: 1, burst: 60 };

/**
 * Slows guessing down without ever locking the user out: where a user has logged in before, strangers do not count; elsewhere a few tries are kept for each
 * network; and a mailed code, whose guesses are counted for its own ticket, makes any network one that was used before.
 */
export async function throttleLogin(app: App, email: string, network: string, loginsFromHere: number): Promise<void> {
  const account = digestOf(email).toString("base64url");
  await spend(app, `login:${account}:${network}:${loginsFromHere}`, FROM_ONE_NETWORK);
  if (loginsFromHere > 0) return;
  const strangers = await app.locks.take(`login:${account}`, FROM_STRANGERS);
  if (strangers.allowed) return;
  const own = await app.locks.take(`login:${account}:new:${network}`, OF_A_NEW_NETWORK);
  if (own.allowed && (await app.locks.take(`login:${account}:new`, OF_NEW_NETWORKS)).allowed) return;
  throw tooMany(strangers.retryAfterMs);
}

/** Guesses with a ticket are counted with the ticket. */
export async function throttleCode(
  app: App,
  purpose: string,
  { email, network, ticket }: { email: string; network: string; ticket: string },
): Promise<void> {
  if (ticket) return;
  await spend(app, `code:${purpose}:${digestOf(email).toString("base64url")}:${network}`, CODE_GUESSES);
}

/** Whoever guesses here has the password. Where the user has logged in before, strangers do not count, and a success begins a new row. */
export async function throttleSecondFactor(
  app: App,
  { user_id, logins_from_here }: { user_id: string; logins_from_here: number },
  network: string,
): Promise<void> {
  const place = logins_from_here > 0 ? `:${network}:${logins_from_here}` : "";
  await spend(app, `second-factor:${user_id}${place}`, SECOND_FACTORS);
}

/** Before it is known whose they are. */
export async function throttlePasskeys(app: App, network: string): Promise<void> {
  const { allowed, retryAfterMs } = await app.locks.take(`passkey:${network}`, PASSKEYS);
  const why = "too many logins by passkey from this network: wait and try again";
  if (!allowed) throw refused(Code.ResourceExhausted, "TOO_MANY_ATTEMPTS", why, retryAfterMs);
}

async function spend(app: App, key: string, budget: Budget): Promise<void> {
  const { allowed, retryAfterMs } = await app.locks.take(key, budget);
  if (!allowed) throw tooMany(retryAfterMs);
}

function tooMany(retryMs: number) {
  const why = "too many attempts for this address: wait and try again, or reset the password, which opens this network";
  return refused(Code.ResourceExhausted, "TOO_MANY_ATTEMPTS", why, retryMs);
}
