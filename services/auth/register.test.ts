import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AuthService } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { isUuid } from "../../packages/time/ids.ts";
import { type AuthSystem, otherThan, outcomes, PASSWORD, refusal, startAuth } from "../../tests/kit/services/auth.ts";

const CODE_INVALID = { code: "InvalidArgument", reason: "CODE_INVALID", retryMs: undefined };
const MINUTE = 60_000;

// Passwords are hashed for real, a few dozen in some tests.
setDefaultTimeout(30_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const mailsTo = (email: string) => auth.mails.filter(({ body }) => body.email === email);
const register = (email: string, password = PASSWORD) => auth.anyone.register({ email, password, displayName: "Ada" });
const resend = (email: string) => auth.anyone.resendVerification({ email });

describe("registering", () => {
  test("mails six digits and nobody's name; the user is made, and told, when they come back with the ticket", async () => {
    const email = auth.newEmail();
    const { userId, ticket } = await register(`${email.toUpperCase()}`);
    await auth.settle();
    expect(mailsTo(email)).toHaveLength(1);
    expect(mailsTo(email)[0]?.body).toMatchObject({ userId, displayName: "" });
    expect(mailsTo(email)[0]?.body.code).toMatch(/^\d{6}$/);
    const getMe = () => auth.as({ userId, roles: [] }, AuthService).getMe({});
    expect(await refusal(getMe())).toMatchObject({ reason: "USER_NOT_FOUND" });
    await auth.anyone.verifyEmail({ email, code: await auth.codeFor(email), ticket });
    await auth.settle();
    expect(auth.facts.filter((fact) => fact.userId === userId).map(({ type }) => type)).toEqual([
      "user.registered",
      "user.verified",
    ]);
    expect((await getMe()).user).toMatchObject({ userId, email, displayName: "Ada", roles: [1], verified: true });
  });

  test("keeps passwords and codes as digests only", async () => {
    const { email, code } = await auth.newcomer();
    const { sql } = auth.app("auth");
    const [stored] =
      await sql`select password_hash, code_hash from tickets order by created_at desc, ticket_hash limit 1`;
    expect(stored?.["code_hash"]).toHaveLength(32);
    await auth.anyone.verifyEmail({ email, code });
    const [user] = await sql`select password_hash from users where email = ${email}`;
    expect(user?.["password_hash"]).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    for (const table of ["users", "tickets", "code_mails", "signing_keys", "root_secret"]) {
      const [all] = await sql.unsafe(`select coalesce(string_agg(t::text, ' '), '') as text from ${table} t`);
      const plain = Buffer.from(code).toString("hex");
      expect(all?.["text"]).not.toContain(PASSWORD);
      expect(all?.["text"]).not.toContain(plain);
    }
  });

  test("an address that has an account is answered with an id that is nobody's; its owner is told, and nothing changes", async () => {
    const { email, userId } = await auth.customer();
    await auth.advance(2 * MINUTE);
    const facts = auth.facts.length;
    const answer = await register(email, "quite another one");
    await auth.settle();
    expect(isUuid(answer.userId)).toBe(true);
    expect(answer.userId).not.toBe(userId);
    expect(mailsTo(email).map(({ type }) => type)).toEqual(["mail.send-verification-code", "mail.send-address-taken"]);
    expect(mailsTo(email)[1]?.body).toMatchObject({ userId, displayName: "Ada" });
    expect(auth.facts).toHaveLength(facts);
    expect(await refusal(auth.login(email, "quite another one"))).toMatchObject({ code: "FailedPrecondition" });
    expect(await auth.login(email)).toHaveProperty("accessToken");
  });

  test("many registrations of one address at once make one user and one mail", async () => {
    const email = auth.newEmail();
    const answers = await Promise.all(Array.from({ length: 5 }, () => register(email)));
    await auth.settle();
    expect(new Set(answers.map(({ userId }) => userId)).size).toBe(5);
    expect(mailsTo(email)).toHaveLength(1);
    await auth.anyone.verifyEmail({ email, code: await auth.codeFor(email) });
    await auth.settle();
    const told = auth.facts.filter(({ userId }) => answers.some((answer) => answer.userId === userId));
    expect(told.map(({ type }) => type)).toEqual(["user.registered", "user.verified"]);
    expect(await auth.login(email)).toHaveProperty("accessToken");
  });

  test("refuses passwords that are short, common or the address, and names with control characters", async () => {
    const email = auth.newEmail();
    for (const password of ["seven77", "Password123", "QWERTYUIOP", email.toUpperCase(), "x".repeat(129)]) {
      expect(await refusal(register(email, password))).toMatchObject({ code: "InvalidArgument" });
    }
    const named = auth.anyone.register({ email, password: PASSWORD, displayName: "A\u0000da" });
    expect(await refusal(named)).toMatchObject({ code: "InvalidArgument" });
    expect(await refusal(auth.anyone.register({ email: "no address", password: PASSWORD }))).toMatchObject({
      code: "InvalidArgument",
    });
    await register(email, "密码是很长的句子吧");
    await register(auth.newEmail(), "x".repeat(128));
  });
});

describe("verifying", () => {
  test("a code is good for ten minutes, not longer", async () => {
    const early = await auth.newcomer();
    await auth.advance(10 * MINUTE - 1_000);
    await auth.anyone.verifyEmail(early);
    const late = await auth.newcomer();
    await auth.advance(10 * MINUTE + 1_000);
    expect(await refusal(auth.anyone.verifyEmail(late))).toEqual(CODE_INVALID);
  });

  test("a code is good for five guesses: the fifth may be right, the sixth cannot be", async () => {
    const { email, code } = await auth.newcomer();
    for (let guess = 1; guess <= 4; guess++) {
      expect(await refusal(auth.anyone.verifyEmail({ email, code: otherThan(code) }))).toEqual(CODE_INVALID);
    }
    await auth.anyone.verifyEmail({ email, code });
    const other = await auth.newcomer();
    for (let guess = 1; guess <= 5; guess++)
      await refusal(auth.anyone.verifyEmail({ email: other.email, code: otherThan(other.code) }));
    expect(await refusal(auth.anyone.verifyEmail(other))).toEqual(CODE_INVALID);
  });

  test("five guesses at once are all counted", async () => {
    const { email, code } = await auth.newcomer();
    const guesses = Array.from({ length: 5 }, () => auth.anyone.verifyEmail({ email, code: otherThan(code) }));
    expect(await outcomes(guesses)).toEqual([false, false, false, false, false]);
    expect(await refusal(auth.anyone.verifyEmail({ email, code }))).toEqual(CODE_INVALID);
  });

  test("of two redemptions at once both are answered, as one whose answer was lost must be, and user.verified is told once", async () => {
    const { email, code } = await auth.newcomer();
    const won = await outcomes([auth.anyone.verifyEmail({ email, code }), auth.anyone.verifyEmail({ email, code })]);
    expect(won).toEqual([true, true]);
    await auth.settle();
    const userId = mailsTo(email)[0]?.body.userId ?? "";
    expect(auth.facts.filter((fact) => fact.userId === userId).map(({ type }) => type)).toEqual([
      "user.registered",
      "user.verified",
    ]);
    expect(await refusal(auth.anyone.verifyEmail({ email, code: otherThan(code) }))).toEqual(CODE_INVALID);
    await auth.anyone.verifyEmail({ email, code });
    await auth.advance(10 * MINUTE);
    expect(await refusal(auth.anyone.verifyEmail({ email, code }))).toEqual(CODE_INVALID);
  });

  test("an unknown address, a verified one and a wrong code are refused alike", async () => {
    const { email } = await auth.customer();
    expect(await refusal(auth.anyone.verifyEmail({ email: auth.newEmail(), code: "123456" }))).toEqual(CODE_INVALID);
    expect(await refusal(auth.anyone.verifyEmail({ email, code: "123456" }))).toEqual(CODE_INVALID);
  });

  test("a code of one address does not open another", async () => {
    const one = await auth.newcomer();
    const two = await auth.newcomer();
    expect(await refusal(auth.anyone.verifyEmail({ email: two.email, code: one.code }))).toEqual(CODE_INVALID);
  });

  test("guessing goes on at most at the throttle's pace", async () => {
    const email = auth.newEmail();
    const guesses = [];
    for (let guess = 0; guess < 21; guess++)
      guesses.push(await refusal(auth.anyone.verifyEmail({ email, code: "123456" })));
    expect(guesses.at(19)?.reason).toBe("CODE_INVALID");
    expect(guesses.at(20)).toMatchObject({ code: "ResourceExhausted", reason: "TOO_MANY_ATTEMPTS" });
    expect(guesses.at(20)?.retryMs).toBeGreaterThan(0);
  });
});

describe("resending", () => {
  test("the cooldown is a minute from the first mail on and says how long it lasts", async () => {
    const { email, code } = await auth.newcomer();
    await auth.advance(MINUTE - 1_000);
    expect(await refusal(resend(email))).toEqual({
      code: "ResourceExhausted",
      reason: "RESEND_COOLDOWN",
      retryMs: 1_000,
    });
    await auth.advance(1_000);
    await resend(email);
    expect(await refusal(resend(email))).toMatchObject({ reason: "RESEND_COOLDOWN", retryMs: MINUTE });
    const newest = await auth.codeFor(email);
    if (newest !== code) expect(await refusal(auth.anyone.verifyEmail({ email, code }))).toEqual(CODE_INVALID);
    await auth.anyone.verifyEmail({ email, code: newest });
  });

  test("of resends at once one sends", async () => {
    const { email } = await auth.newcomer();
    await auth.advance(MINUTE);
    const sent = await outcomes(Array.from({ length: 8 }, () => resend(email)));
    expect(sent.filter(Boolean)).toHaveLength(1);
    await auth.settle();
    expect(mailsTo(email)).toHaveLength(2);
  });

  test("unknown and verified addresses have the same cooldown and get no mail", async () => {
    const unknown = auth.newEmail();
    const { email: verified } = await auth.customer();
    await auth.advance(MINUTE);
    for (const email of [unknown, verified]) {
      await resend(email);
      expect(await refusal(resend(email))).toEqual({
        code: "ResourceExhausted",
        reason: "RESEND_COOLDOWN",
        retryMs: MINUTE,
      });
      await auth.advance(MINUTE);
      await resend(email);
    }
    await auth.settle();
    expect(mailsTo(unknown)).toHaveLength(0);
    expect(mailsTo(verified)).toHaveLength(1);
  });

  test("a resend before the registration changes neither its mail nor the rest of the cooldown", async () => {
    const email = auth.newEmail();
    await resend(email);
    await auth.advance(20_000);
    await register(email);
    expect(await refusal(resend(email))).toMatchObject({ retryMs: 40_000 });
    await auth.anyone.verifyEmail({ email, code: await auth.codeFor(email) });
  });

  test("rows of addresses nobody has are removed when they are over", async () => {
    const { sql } = auth.app("auth");
    await auth.anyone.verifyEmail({ email: auth.newEmail(), code: "123456" }).catch((error: unknown) => error);
    await auth.advance(25 * 60 * MINUTE);
    for (let turn = 0; turn < 5; turn++) await register(auth.newEmail());
    await auth.settle();
    const [row] = await sql<{ tickets: bigint; mails: bigint; jobs: bigint }[]>`
      select (select count(*) from tickets) as tickets, (select count(*) from code_mails) as mails, (select count(*) from jobs) as jobs`;
    expect(row).toEqual({ tickets: 5n, mails: 5n, jobs: 0n });
  });
});

test("neither codes nor passwords nor tokens are in the log", async () => {
  const { email, code } = await auth.newcomer();
  await auth.anyone.verifyEmail({ email, code });
  const { accessToken, refreshToken } = await auth.login(email, PASSWORD, "192.0.2.1");
  await refusal(auth.login(email, "a secret that is wrong"));
  const log = JSON.stringify(auth.lines);
  for (const secret of [PASSWORD, "a secret that is wrong", accessToken, refreshToken, `"${code}"`])
    expect(log).not.toContain(secret);
});
