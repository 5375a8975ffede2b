// What strangers try with other people's addresses.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ADDRESS_HEADER } from "../../packages/service/wire/rpc.ts";
import { type AuthSystem, otherThan, PASSWORD, refusal, startAuth } from "../../tests/kit/services/auth.ts";

const CODE_INVALID = { code: "InvalidArgument", reason: "CODE_INVALID", retryMs: undefined };
const WRONG = { code: "Unauthenticated", reason: "CREDENTIALS_INVALID", retryMs: undefined };
const NOT_VERIFIED = { code: "FailedPrecondition", reason: "EMAIL_NOT_VERIFIED", retryMs: undefined };
const STRANGERS = "a stranger chose this";
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const HOME = "192.0.2.1";
const AWAY = "198.51.100.1";

// Passwords are hashed for real, a few dozen in some tests.
setDefaultTimeout(30_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const from = (address: string) => ({ headers: { [ADDRESS_HEADER]: address } });
const register = (email: string, network: string, password = PASSWORD) =>
  auth.anyone.register({ email, password, displayName: "Ada" }, from(network));
const verify = (email: string, code: string, network: string, ticket = "") =>
  auth.anyone.verifyEmail({ email, code, ticket }, from(network));
const requestReset = (email: string, network: string) => auth.anyone.requestPasswordReset({ email }, from(network));
const reset = (email: string, code: string, network: string, ticket = "") =>
  auth.anyone.resetPassword({ email, code, ticket, newPassword: "four green birds" }, from(network));
const mailsTo = async (email: string) => {
  await auth.settle();
  return auth.mails.filter(({ body }) => body.email === email);
};
const codesOf = async (email: string) => (await mailsTo(email)).map(({ body }) => body.code);

describe("who registers an address first", () => {
  test("does not log in after its owner has verified, whoever of them was first", async () => {
    for (const strangerIsFirst of [true, false]) {
      const email = auth.newEmail();
      if (strangerIsFirst) await register(email, AWAY, STRANGERS);
      const { ticket } = await register(email, HOME);
      const owners = await auth.codeFor(email);
      if (!strangerIsFirst) await register(email, AWAY, STRANGERS);
      expect(await verify(email, owners, HOME, ticket)).toMatchObject({ passwordNeeded: false });
      expect(await auth.login(email, PASSWORD, HOME)).toHaveProperty("accessToken");
      expect(await refusal(auth.login(email, STRANGERS, AWAY))).toEqual(NOT_VERIFIED);
      const [strangersMail] = strangerIsFirst ? await codesOf(email) : (await codesOf(email)).slice(-1);
      expect(await refusal(verify(email, strangersMail ?? "", AWAY))).toEqual(CODE_INVALID);
      await auth.advance(DAY);
      expect(await refusal(auth.login(email, STRANGERS, AWAY))).toEqual(WRONG);
    }
  });

  test("gains nothing when the owner enters the stranger's code without a ticket: the address is proven, no password is valid", async () => {
    const email = auth.newEmail();
    await register(email, AWAY, STRANGERS);
    const code = await auth.codeFor(email);
    expect(await verify(email, code, HOME)).toMatchObject({ passwordNeeded: true });
    expect(await verify(email, code, HOME)).toMatchObject({ passwordNeeded: true });
    expect(await refusal(auth.login(email, STRANGERS, AWAY))).toEqual(WRONG);
    const { ticket } = await requestReset(email, HOME);
    await reset(email, await auth.codeFor(email), HOME, ticket);
    expect(await auth.login(email, "four green birds", HOME)).toHaveProperty("accessToken");
  });

  test("gains nothing from the same network either: where two passwords were chosen there, a code without its ticket makes none valid", async () => {
    for (const passwords of [
      [STRANGERS, PASSWORD],
      [PASSWORD, STRANGERS],
    ]) {
      const email = auth.newEmail();
      for (const password of passwords) await register(email, HOME, password);
      expect(await verify(email, await auth.codeFor(email), HOME)).toMatchObject({ passwordNeeded: true });
      for (const password of passwords) expect((await refusal(auth.login(email, password, HOME))).code).not.toBe("ok");
    }
  });

  test("costs an owner without a ticket nothing who verifies where he registered", async () => {
    const email = auth.newEmail();
    await register(email, AWAY, STRANGERS);
    await register(email, HOME);
    expect(await verify(email, await auth.codeFor(email), HOME)).toMatchObject({ passwordNeeded: false });
    expect(await auth.login(email, PASSWORD, HOME)).toHaveProperty("accessToken");
  });

  test("cannot use another's code with his own ticket", async () => {
    const email = auth.newEmail();
    const stranger = await register(email, AWAY, STRANGERS);
    const [strangers] = await codesOf(email);
    await register(email, HOME);
    const owners = await auth.codeFor(email);
    if (owners !== strangers) expect(await refusal(verify(email, owners, AWAY, stranger.ticket))).toEqual(CODE_INVALID);
  });
});

describe("who has an account", () => {
  test("is not told by registering and logging in", async () => {
    const { email: taken } = await auth.customer();
    const free = auth.newEmail();
    for (const email of [taken, free]) {
      const { userId, ticket } = await register(email, AWAY, STRANGERS);
      expect([userId.length, ticket.length]).toEqual([36, 43]);
      expect(await refusal(auth.login(email, STRANGERS, AWAY))).toEqual(NOT_VERIFIED);
      expect(await refusal(verify(email, "123456", AWAY, ticket))).toEqual(CODE_INVALID);
      expect(await refusal(auth.login(email, "another wrong one", AWAY))).toEqual(WRONG);
    }
    await auth.advance(DAY);
    for (const email of [taken, free]) expect(await refusal(auth.login(email, STRANGERS, AWAY))).toEqual(WRONG);
  });

  test("is not told by what is written: rows of every table are as many for a taken address as for a free one", async () => {
    const { email: taken } = await auth.customer();
    const { sql } = auth.app("auth");
    const count = async () => {
      await auth.settle();
      const [row] = await sql<Record<string, bigint>[]>`
        select (select count(*) from tickets) as tickets, (select count(*) from code_mails) as mails, (select count(*) from users) as users`;
      return Object.values(row ?? {}).map(Number);
    };
    const asked = [
      (email: string) => register(email, AWAY),
      (email: string) => requestReset(email, AWAY),
      (email: string) => refusal(verify(email, "123456", AWAY)),
      (email: string) => refusal(reset(email, "123456", AWAY)),
    ];
    for (const ask of asked) {
      const made = [];
      for (const email of [taken, auth.newEmail()]) {
        const before = await count();
        await ask(email);
        made.push((await count()).map((rows, at) => rows - (before[at] ?? 0)));
      }
      expect(made[0]).toEqual(made[1] ?? []);
    }
  });
});

describe("wrong guesses of strangers", () => {
  test("lock the owner out of nothing: neither of verifying, nor of a reset, nor of logging in where he redeemed it", async () => {
    const email = auth.newEmail();
    const { ticket } = await register(email, HOME);
    const code = await auth.codeFor(email);
    const guessAt = async (guess: (network: string) => Promise<unknown>) => {
      for (let network = 0; network < 30; network++) await refusal(guess(`203.0.${network}.7`));
      for (let time = 0; time < 30; time++) await refusal(guess(HOME));
    };
    await guessAt((network) => verify(email, otherThan(code), network));
    await guessAt((network) => verify(email, otherThan(code), network, "a ticket that is none"));
    await verify(email, code, HOME, ticket);

    const mine = await requestReset(email, AWAY);
    const second = await auth.codeFor(email);
    const strangers = await requestReset(email, AWAY);
    await guessAt((network) => reset(email, otherThan(second), network));
    for (let guess = 0; guess < 6; guess++)
      expect(await refusal(reset(email, otherThan(second), AWAY, strangers.ticket))).toEqual(CODE_INVALID);
    await reset(email, second, AWAY, mine.ticket);
    for (let guess = 0; guess < 64; guess++)
      await refusal(auth.login(email, "not the password", `203.0.${guess % 8}.7`));
    expect(await auth.login(email, "four green birds", AWAY)).toHaveProperty("accessToken");
    const [known] = await auth.app("auth").sql<
      { networks: bigint }[]
    >`select count(*) as networks from known_networks k join users u on u.user_id = k.user_id where u.email = ${email}`;
    expect(known).toEqual({ networks: 1n });
  }, 120_000);

  test("are few for one code, however many tickets a stranger asks for while it is on its way", async () => {
    const { email } = await auth.customer();
    const { ticket: first } = await requestReset(email, AWAY);
    const code = await auth.codeFor(email);
    const others = [];
    for (let ask = 0; ask < 9; ask++) others.push((await requestReset(email, AWAY)).ticket);
    expect(await mailsTo(email)).toHaveLength(2);
    // The last of them shares no code, and the first is good as before.
    expect(await refusal(reset(email, code, AWAY, others.at(-1)))).toEqual(CODE_INVALID);
    await reset(email, code, AWAY, first);
  });

  test("a ticket has five guesses: the fifth may be right, the sixth cannot be, not even at once", async () => {
    const email = auth.newEmail();
    const { ticket } = await register(email, HOME);
    const code = await auth.codeFor(email);
    await Promise.allSettled(Array.from({ length: 5 }, () => verify(email, otherThan(code), HOME, ticket)));
    expect(await refusal(verify(email, code, HOME, ticket))).toEqual(CODE_INVALID);
    await auth.advance(MINUTE);
    await auth.anyone.resendVerification({ email, ticket }, from(AWAY));
    const next = await auth.codeFor(email);
    for (let guess = 0; guess < 4; guess++) await refusal(verify(email, otherThan(next), HOME, ticket));
    await verify(email, next, HOME, ticket);
  });
});

test("a registration that nobody verifies ends after a day: its ticket opens nothing and has no code sent", async () => {
  const email = auth.newEmail();
  const { ticket } = await register(email, HOME);
  await auth.advance(DAY - MINUTE);
  await auth.anyone.resendVerification({ email, ticket }, from(HOME));
  const code = await auth.codeFor(email);
  await auth.advance(MINUTE);
  expect(await refusal(auth.login(email, PASSWORD, HOME))).toEqual(WRONG);
  await auth.anyone.resendVerification({ email, ticket }, from(HOME));
  expect(await mailsTo(email)).toHaveLength(2);
  await auth.advance(10 * MINUTE);
  expect(await refusal(verify(email, code, HOME, ticket))).toEqual(CODE_INVALID);
  await register(auth.newEmail(), HOME);
  const [left] = await auth.app("auth").sql<
    { tickets: bigint }[]
  >`select count(*) as tickets from tickets where expires_at <= ${auth.clock.now()}`;
  expect(left).toEqual({ tickets: 0n });
});

describe("a day's mails to one address", () => {
  test("are six from one network and twelve in all; a reset asked for where the account was used before is not counted among strangers'", async () => {
    const { email } = await auth.customer();
    await auth.login(email, PASSWORD, HOME);
    const before = (await mailsTo(email)).length;
    for (const network of [AWAY, "203.0.113.1", "203.0.114.1"]) {
      for (let ask = 0; ask < 8; ask++) {
        await auth.advance(MINUTE);
        await requestReset(email, network);
      }
    }
    // One of the twelve was the code to verify with.
    expect((await mailsTo(email)).length - before).toBe(11);
    expect(await refusal(register(email, AWAY))).toMatchObject({ code: "ResourceExhausted", reason: "TOO_MANY_MAILS" });
    await requestReset(email, HOME);
    expect((await mailsTo(email)).length - before).toBe(12);
    const { retryMs = 0 } = await refusal(register(email, AWAY));
    await auth.advance(retryMs);
    await register(email, AWAY);
    expect((await mailsTo(email)).length - before).toBe(13);
  });
});

describe("what may be registered", () => {
  const named = (displayName: string) =>
    auth.anyone.register({ email: auth.newEmail(), password: PASSWORD, displayName });

  test("names are refused when they could be an address of the web, or are not what they look like", async () => {
    const refused = [
      "win at https://evil.test/prize",
      "www.evil.test",
      "evil.com",
      "x.co",
      "//evil",
      "ada@evil.test",
      "Ada\u202Egnp.exe",
      "Ada\u2066",
      "A\u200Bda",
      "Ada\u00AD",
      "Ada\nCode: 123456",
      "Ada\u2028",
      "\uE000",
    ];
    for (const name of refused) expect(await refusal(named(name))).toMatchObject({ code: "InvalidArgument" });
    for (const name of [
      "",
      "J.R.R. Tolkien",
      "St. John",
      "José María O’Neill-Żółć",
      "山田 太郎",
      "Dr. A. Lovelace, PhD",
    ])
      expect(await named(name)).toHaveProperty("ticket");
  });

  test("addresses are refused that mail could not be handed over to", async () => {
    const long = (local: number, labels: number) => `${"a".repeat(local)}@${"b".repeat(40)}${".c".repeat(labels)}`;
    const refused = [
      long(65, 1),
      long(64, 90),
      "a..b@example.test",
      ".a@example.test",
      "a@-b.test",
      "a@b..test",
      "ä@b.test",
    ];
    const asked = (email: string) => auth.anyone.register({ email, password: PASSWORD, displayName: "Ada" });
    for (const email of refused) expect(await refusal(asked(email))).toMatchObject({ code: "InvalidArgument" });
    for (const email of [long(64, 1), "o'neill+bodega@example.test"])
      expect(await asked(email)).toHaveProperty("ticket");
  });
});
