import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { TOTP, URI } from "otpauth";
import { AuditRecorded } from "../../packages/api/facts.ts";
import { AuthService, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { ADDRESS_HEADER } from "../../packages/service/wire/rpc.ts";
import {
  type AuthSystem,
  bearing,
  otherThan,
  outcomes,
  PASSWORD,
  refusal,
  startAuth,
} from "../../tests/kit/services/auth.ts";

const NEW = "four green herons";
const STEP_MS = 30_000;
const MINUTE = 60_000;
const WRONG = "SECOND_FACTOR_INVALID";
const OVER = "CHALLENGE_INVALID";

// Passwords are hashed for real, a few in each test.
setDefaultTimeout(60_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const refused = async (call: Promise<unknown>) => (await refusal(call)).reason;

/** What the app shows, now or some steps off. */
function shown(secret: string, steps = 0): string {
  return new TOTP({ secret }).generate({ timestamp: auth.clock.now().getTime() + steps * STEP_MS });
}

/** A customer with a second factor, whose next code was not used yet. */
async function guarded() {
  const owner = await auth.session();
  const { secret } = await auth.anyone.enrolTotp({ password: PASSWORD }, bearing(owner.accessToken));
  const { recoveryCodes } = await auth.anyone.confirmTotp({ code: shown(secret) }, bearing(owner.accessToken));
  await auth.advance(STEP_MS);
  return { ...owner, secret, recoveryCodes, recovery: recoveryCodes[0] ?? "" };
}

async function challengeFor(email: string, password = PASSWORD, from = ""): Promise<string> {
  const answer = await auth.login(email, password, from);
  expect([answer.accessToken, answer.refreshToken]).toEqual(["", ""]);
  expect(answer.challenge).toHaveLength(43);
  return answer.challenge;
}

const complete = (challenge: string, code: string, from = "") =>
  auth.anyone.completeLogin({ challenge, code }, { headers: { [ADDRESS_HEADER]: from } });

describe("a second factor", () => {
  test("is asked for once an app has shown that it has the secret; other sessions end, and the owner hears of it", async () => {
    const { email, accessToken, refreshToken } = await auth.session();
    const other = await auth.login(email);
    const { secret, otpauthUri } = await auth.anyone.enrolTotp({ password: PASSWORD }, bearing(accessToken));
    expect(URI.parse(otpauthUri)).toMatchObject({ issuer: "Bodega", label: email, digits: 6, period: 30 });
    expect((await auth.login(email)).accessToken).not.toBe("");
    const { recoveryCodes } = await auth.anyone.confirmTotp({ code: shown(secret) }, bearing(accessToken));
    expect(new Set(recoveryCodes).size).toBe(10);
    expect(await refused(auth.anyone.refresh({ refreshToken: other.refreshToken }))).toBe("SESSION_ENDED");
    await auth.anyone.refresh({ refreshToken });
    await auth.advance(STEP_MS);
    const opened = await complete(await challengeFor(email), shown(secret));
    const { user } = await auth.anyone.getMe({}, bearing(opened.accessToken));
    expect(user).toMatchObject({ email, totp: true });
    await auth.anyone.refresh({ refreshToken: opened.refreshToken });
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.TOTP_ENABLED]);
  });

  test("is not switched on with a token alone, by another's code, or with a secret that waited too long", async () => {
    const [owner, other] = [await auth.session(), await guarded()];
    const enrol = (password: string) => auth.anyone.enrolTotp({ password }, bearing(owner.accessToken));
    const confirm = (code: string) => auth.anyone.confirmTotp({ code }, bearing(owner.accessToken));
    expect(await refused(enrol("wrong"))).toBe("CREDENTIALS_INVALID");
    expect(await refused(confirm("123456"))).toBe("TOTP_NOT_ENROLLED");
    const first = await enrol(PASSWORD);
    expect(await refused(confirm(shown(other.secret)))).toBe(WRONG);
    const second = await enrol(PASSWORD);
    expect(await refused(confirm(shown(first.secret)))).toBe(WRONG);
    await auth.advance(9 * MINUTE);
    expect(await refused(confirm(shown(first.secret)))).toBe(WRONG);
    await auth.advance(2 * MINUTE);
    const { accessToken } = await auth.login(owner.email);
    const late = auth.anyone.confirmTotp({ code: shown(second.secret) }, bearing(accessToken));
    expect(await refused(late)).toBe("TOTP_NOT_ENROLLED");
  });

  test("that is there is not exchanged by who has the password and a token", async () => {
    const { secret, accessToken } = await guarded();
    const again = auth.anyone.enrolTotp({ password: PASSWORD }, bearing(accessToken));
    expect(await refused(again)).toBe("TOTP_ENABLED");
    expect(await refused(auth.anyone.confirmTotp({ code: shown(secret) }, bearing(accessToken)))).toBe(
      "TOTP_NOT_ENROLLED",
    );
  });

  test("is removed with password and code, and with neither alone", async () => {
    const { email, accessToken, secret } = await guarded();
    const remove = (password: string, code: string) => auth.anyone.removeTotp({ password, code }, bearing(accessToken));
    expect(await refused(remove("wrong", shown(secret)))).toBe("CREDENTIALS_INVALID");
    expect(await refused(remove(PASSWORD, otherThan(shown(secret))))).toBe(WRONG);
    await remove(PASSWORD, shown(secret));
    expect(await refused(remove(PASSWORD, shown(secret)))).toBe("TOTP_NOT_ENABLED");
    expect((await auth.login(email)).accessToken).not.toBe("");
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.TOTP_ENABLED, AccountNotice.TOTP_REMOVED]);
  });

  test("goes with the account", async () => {
    const { userId, accessToken, email } = await guarded();
    await challengeFor(email);
    await auth.anyone.deleteAccount({ password: PASSWORD }, bearing(accessToken));
    for (const table of ["totp_secrets", "recovery_codes", "login_challenges"]) {
      const rows = await auth.app("auth").sql.unsafe(`select from ${table} where user_id = '${userId}'`);
      expect([table, rows.length]).toEqual([table, 0]);
    }
  });
});

describe("a code of the app", () => {
  test("is good for its half minute and the one beside it on either side, and no further off", async () => {
    const { email, secret } = await guarded();
    for (const steps of [-2, 2])
      expect(await refused(complete(await challengeFor(email), shown(secret, steps)))).toBe(WRONG);
    await auth.advance(2 * STEP_MS);
    for (const steps of [-1, 0, 1]) await complete(await challengeFor(email), shown(secret, steps));
  });

  test("is taken once, and none before it any more: not at another login, not at once, not to remove it", async () => {
    const { email, secret, accessToken } = await guarded();
    const challenges = [await challengeFor(email), await challengeFor(email)];
    const code = shown(secret);
    const opened = await outcomes(challenges.map((challenge) => complete(challenge, code)));
    expect(opened.filter(Boolean)).toHaveLength(1);
    for (const used of [code, shown(secret, -1)]) {
      expect(await refused(complete(await challengeFor(email), used))).toBe(WRONG);
      expect(await refused(auth.anyone.removeTotp({ password: PASSWORD, code: used }, bearing(accessToken)))).toBe(
        WRONG,
      );
    }
  });

  test("that confirmed the secret opens nothing", async () => {
    const { email, accessToken } = await auth.session();
    const { secret } = await auth.anyone.enrolTotp({ password: PASSWORD }, bearing(accessToken));
    const code = shown(secret);
    await auth.anyone.confirmTotp({ code }, bearing(accessToken));
    expect(await refused(complete(await challengeFor(email), code))).toBe(WRONG);
  });

  test("opens its own account only", async () => {
    const [victim, thief] = [await guarded(), await guarded()];
    expect(await refused(complete(await challengeFor(victim.email), shown(thief.secret)))).toBe(WRONG);
    expect(await refused(complete(await challengeFor(victim.email), thief.recovery))).toBe(WRONG);
    const { challenge } = await auth.login(thief.email);
    const opened = await complete(challenge, shown(thief.secret));
    expect((await auth.platform.verifier.verify(opened.accessToken)).userId).toBe(thief.userId);
  });
});

describe("a challenge", () => {
  test("has five guesses, however many at once; the owner hears that somebody has the password", async () => {
    const { email, secret } = await guarded();
    const challenge = await challengeFor(email);
    const guess = () => complete(challenge, otherThan(shown(secret)));
    const reasons = await Promise.all(Array.from({ length: 8 }, () => refused(guess())));
    expect(reasons.filter((reason) => reason === WRONG)).toHaveLength(5);
    expect(await refused(complete(challenge, shown(secret)))).toBe(OVER);
    expect(await auth.noticesTo(email)).toContain(AccountNotice.SECOND_FACTOR_GUESSED);
  });

  test("opens once, ends after five minutes, and is not made up", async () => {
    const { email, secret } = await guarded();
    const used = await challengeFor(email);
    await complete(used, shown(secret));
    await auth.advance(STEP_MS);
    expect(await refused(complete(used, shown(secret)))).toBe(OVER);
    const late = await challengeFor(email);
    await auth.advance(5 * MINUTE);
    expect(await refused(complete(late, shown(secret)))).toBe(OVER);
    for (const made of ["a".repeat(43), "-"]) expect(await refused(complete(made, shown(secret)))).toBe(OVER);
  });

  test("is no good after a new password, nor for a blocked account, nor when there is no second factor any more", async () => {
    const { email, userId, secret, accessToken } = await guarded();
    const old = await challengeFor(email);
    await auth.anyone.changePassword({ oldPassword: PASSWORD, newPassword: NEW }, bearing(accessToken));
    expect(await refused(complete(old, shown(secret)))).toBe(OVER);
    await auth.advance(STEP_MS);
    const waiting = await challengeFor(email, NEW);
    await auth.as("admin", AuthService).blockUser({ userId, reason: "lost" });
    expect(await refused(complete(waiting, shown(secret)))).toBe(OVER);
    await auth.as("admin", AuthService).unblockUser({ userId });
    await auth.advance(STEP_MS);
    await auth.anyone.removeTotp({ password: NEW, code: shown(secret) }, bearing(accessToken));
    await auth.advance(STEP_MS);
    expect(await refused(complete(waiting, shown(secret)))).toBe(OVER);
  });

  test("is not to be had by guessing at many: guesses are counted for the account, and its owner still gets in from where he was", async () => {
    const { email, secret } = await guarded();
    const from = "198.51.100.9";
    const reasons: (string | undefined)[] = [];
    for (let login = 0; login < 3; login++) {
      const challenge = await challengeFor(email, PASSWORD, from);
      for (let guess = 0; guess < 5; guess++)
        reasons.push(await refused(complete(challenge, otherThan(shown(secret)), `198.51.${login}.${guess}`)));
    }
    expect(reasons.filter((reason) => reason === WRONG)).toHaveLength(10);
    expect(reasons.at(-1)).toBe("TOO_MANY_ATTEMPTS");
    await complete(await challengeFor(email), shown(secret));
  });

  test("is what the right password gets and no other, and who is slowed down is not told which it was", async () => {
    const { email } = await guarded();
    const from = "203.0.113.77";
    const reasons = new Set<string | undefined>();
    for (let guess = 0; guess < 11; guess++) reasons.add(await refused(auth.login(email, `wrong ${guess}`, from)));
    expect([...reasons]).toEqual(["CREDENTIALS_INVALID", "TOO_MANY_ATTEMPTS"]);
    expect(await refused(auth.login(email, PASSWORD, from))).toBe("TOO_MANY_ATTEMPTS");
  });
});

describe("a new password by mail", () => {
  test("does not get round the second factor", async () => {
    const { email, secret } = await guarded();
    const { ticket } = await auth.anyone.requestPasswordReset({ email });
    await auth.anyone.resetPassword({ email, ticket, code: await auth.codeFor(email), newPassword: NEW });
    const challenge = await challengeFor(email, NEW);
    expect(await refused(complete(challenge, otherThan(shown(secret))))).toBe(WRONG);
    await complete(challenge, shown(secret));
  });
});

describe("a recovery code", () => {
  test("takes the app's place once, as it was written down; the owner hears of it", async () => {
    const { email, recoveryCodes, recovery } = await guarded();
    await complete(await challengeFor(email), ` ${recovery.toLowerCase().replaceAll("-", " ")}`);
    expect(await refused(complete(await challengeFor(email), recovery))).toBe(WRONG);
    const challenges = [await challengeFor(email), await challengeFor(email)];
    const opened = await outcomes(challenges.map((challenge) => complete(challenge, recoveryCodes[1] ?? "")));
    expect(opened.filter(Boolean)).toHaveLength(1);
    const used = (await auth.noticesTo(email)).filter((notice) => notice === AccountNotice.RECOVERY_CODE_USED);
    expect(used).toHaveLength(2);
  });

  test("is no good after new ones were made, which wants password and code", async () => {
    const { email, secret, accessToken, recovery } = await guarded();
    const renew = (code: string) => auth.anyone.renewRecoveryCodes({ password: PASSWORD, code }, bearing(accessToken));
    expect(await refused(renew(otherThan(shown(secret))))).toBe(WRONG);
    const { recoveryCodes } = await renew(shown(secret));
    expect(await refused(complete(await challengeFor(email), recovery))).toBe(WRONG);
    await complete(await challengeFor(email), recoveryCodes[9] ?? "");
    expect(await auth.noticesTo(email)).toContain(AccountNotice.RECOVERY_CODES_RENEWED);
  });
});

describe("admins", () => {
  test("leave a record of each change of their second factor", async () => {
    const told: string[] = [];
    auth.platform.events.subscribe("totp-test", [AuditRecorded.topic], async (batch) => {
      told.push(...batch.map(({ body }) => fromBinary(AuditRecorded.schema, body).act));
    });
    const { userId, email } = await auth.customer();
    await auth.as("admin", AuthService).setRoles({ userId, roles: [Role.ADMIN] });
    const { accessToken } = await auth.login(email);
    const { secret } = await auth.anyone.enrolTotp({ password: PASSWORD }, bearing(accessToken));
    await auth.anyone.confirmTotp({ code: shown(secret) }, bearing(accessToken));
    await auth.advance(STEP_MS);
    await auth.anyone.removeTotp({ password: PASSWORD, code: shown(secret) }, bearing(accessToken));
    await auth.settle();
    for (const act of ["AuthService.ConfirmTotp", "AuthService.RemoveTotp"])
      expect(told.filter((each) => each === act)).toHaveLength(1);
  });
});

test("neither secret, recovery codes nor challenges are readable in the database, in facts, jobs or logs", async () => {
  const { email, secret, recoveryCodes } = await guarded();
  const challenge = await challengeFor(email);
  await auth.settle();
  const { sql } = auth.app("auth");
  const tables = await sql<{ name: string }[]>`select tablename as name from pg_tables where schemaname = 'public'`;
  let text = JSON.stringify(auth.mails, (_, value) => (typeof value === "bigint" ? String(value) : value));
  for (const { name } of tables) text += JSON.stringify(await sql.unsafe(`select t::text from "${name}" t`));
  expect(text).toContain(email);
  const words = [secret, challenge, ...recoveryCodes, ...recoveryCodes.map((code) => code.replaceAll("-", ""))];
  for (const word of words) {
    expect(text).not.toContain(word);
    expect(text).not.toContain(Buffer.from(word).toString("hex"));
  }
});
