import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type AuthSystem, otherThan, outcomes, refusal, startAuth } from "../../tests/kit/services/auth.ts";

const WRONG = { code: "Unauthenticated", reason: "CREDENTIALS_INVALID", retryMs: undefined };
const CODE_INVALID = { code: "InvalidArgument", reason: "CODE_INVALID", retryMs: undefined };
const MINUTE = 60_000;

setDefaultTimeout(30_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const refresh = (refreshToken: string) => auth.anyone.refresh({ refreshToken });

describe("resetting a password", () => {
  const request = (email: string) => auth.anyone.requestPasswordReset({ email });
  const reset = (email: string, code: string, newPassword = "four green birds") =>
    auth.anyone.resetPassword({ email, code, newPassword });

  test("sets the new one and ends every session", async () => {
    const { email, refreshToken } = await auth.session();
    await request(email);
    const code = await auth.codeFor(email);
    expect(auth.mails.at(-1)?.type).toBe("mail.send-password-reset");
    await reset(email, code);
    expect(await refusal(refresh(refreshToken))).toMatchObject({ reason: "SESSION_ENDED" });
    expect(await refusal(auth.login(email))).toEqual(WRONG);
    const open = await auth.login(email, "four green birds");
    // Repeated, as when its answer was lost, it is answered alike and does nothing; it sets no other password.
    await reset(email, code);
    await refresh(open.refreshToken);
    expect(await refusal(reset(email, code, "five white swans"))).toEqual(CODE_INVALID);
  });

  test("a login with the old password that is under way when it is reset opens no session", async () => {
    const { email, userId } = await auth.customer();
    await request(email);
    const code = await auth.codeFor(email);
    const [, loggedIn] = await Promise.allSettled([reset(email, code), auth.login(email)]);
    const open = await auth.app("auth")
      .sql`select session_id from sessions where user_id = ${userId} and ended_at is null`;
    // The login may have been first: then the reset ended its session.
    expect(open).toHaveLength(0);
    if (loggedIn.status === "fulfilled")
      expect(await refusal(refresh(loggedIn.value.refreshToken))).toMatchObject({ reason: "SESSION_ENDED" });
  });

  test("requests within a minute, also at once, send one mail and are all answered", async () => {
    const { email } = await auth.customer();
    const before = auth.mails.length;
    await Promise.all(Array.from({ length: 5 }, () => request(email)));
    await auth.advance(MINUTE - 1);
    await request(email);
    await auth.settle();
    expect(auth.mails).toHaveLength(before + 1);
    await reset(email, await auth.codeFor(email));
  });

  test("an unknown address is answered alike and mailed nothing", async () => {
    const email = auth.newEmail();
    const before = auth.mails.length;
    const { email: known } = await auth.customer();
    const [unknownTicket, knownTicket] = [(await request(email)).ticket, (await request(known)).ticket];
    expect(unknownTicket).toHaveLength(knownTicket.length);
    await auth.settle();
    expect(auth.mails.slice(before).filter(({ body }) => body.email === email)).toHaveLength(0);
    expect(await refusal(reset(email, "123456"))).toEqual(CODE_INVALID);
  });

  test("the code is good for ten minutes and five guesses, and not for verifying", async () => {
    const { email } = await auth.customer();
    await request(email);
    const code = await auth.codeFor(email);
    expect(await refusal(auth.anyone.verifyEmail({ email, code }))).toEqual(CODE_INVALID);
    await auth.advance(10 * MINUTE + 1_000);
    expect(await refusal(reset(email, code))).toEqual(CODE_INVALID);
    await request(email);
    const second = await auth.codeFor(email);
    for (let guess = 0; guess < 5; guess++) await refusal(reset(email, otherThan(second)));
    expect(await refusal(reset(email, second))).toEqual(CODE_INVALID);
  });

  test("of two resets at once with one code one wins", async () => {
    const { email } = await auth.customer();
    await request(email);
    const code = await auth.codeFor(email);
    const won = await outcomes([reset(email, code, "four green birds"), reset(email, code, "five white swans")]);
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await auth.login(email, won[0] ? "four green birds" : "five white swans")).toHaveProperty("accessToken");
  });

  test("refuses a common password without spending the code", async () => {
    const { email } = await auth.customer();
    await request(email);
    const code = await auth.codeFor(email);
    expect(await refusal(reset(email, code, "password123"))).toMatchObject({
      code: "InvalidArgument",
      reason: "INVALID_ARGUMENT",
    });
    await reset(email, code);
  });

  test("verifies the address of a user who was not verified", async () => {
    const { email } = await auth.newcomer();
    await request(email);
    await reset(email, await auth.codeFor(email));
    await auth.settle();
    expect(auth.facts.at(-1)?.type).toBe("user.verified");
    expect(await auth.login(email, "four green birds")).toHaveProperty("accessToken");
  });
});
