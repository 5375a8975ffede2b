import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AuthService, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { type AuthSystem, PASSWORD, refusal, startAuth } from "../../tests/kit/services/auth.ts";

const WRONG = { code: "Unauthenticated", reason: "CREDENTIALS_INVALID", retryMs: undefined };
const MINUTE = 60_000;
const DAY = 86_400_000;

// Passwords are hashed for real, a few dozen in some tests.
setDefaultTimeout(30_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const refresh = (refreshToken: string) => auth.anyone.refresh({ refreshToken });

describe("logging in", () => {
  test("gives an access token of ten minutes that the platform accepts", async () => {
    const { userId, accessToken, refreshToken, expiresAt } = await auth.session();
    const claims = await auth.platform.verifier.verify(accessToken);
    expect(claims).toMatchObject({ userId, roles: [Role.CUSTOMER] });
    expect(Number(expiresAt?.seconds) * 1_000).toBe(auth.clock.now().getTime() + 10 * MINUTE);
    expect(Buffer.from(refreshToken, "base64url")).toHaveLength(32);
    expect(JSON.stringify(await auth.app("auth").sql`select token_hash::text from refresh_tokens`)).not.toContain(
      refreshToken,
    );
  });

  test("finds the user whatever the case and the space around the address", async () => {
    const { email } = await auth.customer();
    expect(await auth.login(` ${email.toUpperCase()} `)).toHaveProperty("accessToken");
  });

  test("tells nobody but the user that an address is known or not verified", async () => {
    const { email } = await auth.newcomer();
    expect(await refusal(auth.login(email, "not the password"))).toEqual(WRONG);
    expect(await refusal(auth.login(auth.newEmail()))).toEqual(WRONG);
    expect(await refusal(auth.login(email))).toEqual({
      code: "FailedPrecondition",
      reason: "EMAIL_NOT_VERIFIED",
      retryMs: undefined,
    });
  });

  test("guesses from one network are slowed down, for unknown addresses too", async () => {
    const { email } = await auth.customer();
    for (const address of [email, auth.newEmail()]) {
      const guesses = [];
      for (let guess = 0; guess < 11; guess++)
        guesses.push(await refusal(auth.login(address, "not the password", "192.0.2.1")));
      expect(guesses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => WRONG));
      expect(guesses[10]).toMatchObject({ code: "ResourceExhausted", reason: "TOO_MANY_ATTEMPTS" });
      expect(guesses[10]?.retryMs).toBeGreaterThan(0);
    }
  });

  test("strangers who guess from everywhere are slowed down, and the user still gets in, from a known network and from a new one", async () => {
    const { email } = await auth.customer();
    await auth.login(email, PASSWORD, "2001:db8:1:2::7");
    const reasons = new Set<string | undefined>();
    for (let guess = 0; guess < 64; guess++)
      reasons.add((await refusal(auth.login(email, "not the password", `198.51.${guess % 8}.1`))).reason);
    expect(reasons).toContain("TOO_MANY_ATTEMPTS");
    // A few tries are kept for each network.
    expect(await auth.login(email, PASSWORD, "203.0.113.9")).toHaveProperty("accessToken");
    expect(await auth.login(email, PASSWORD, "2001:db8:1:2:ffff::8")).toHaveProperty("accessToken");
  });

  test("whoever logs in rightly is not slowed down", async () => {
    const { email } = await auth.customer();
    for (let time = 0; time < 12; time++) await auth.login(email, PASSWORD, "192.0.2.2");
  });
});

describe("refreshing", () => {
  test("gives a new pair, and so does its successor", async () => {
    const first = await auth.session();
    await auth.advance(MINUTE);
    const second = await refresh(first.refreshToken);
    await auth.advance(MINUTE);
    const third = await refresh(second.refreshToken);
    expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
    expect(new Set([first, second, third].map(({ accessToken }) => accessToken)).size).toBe(3);
    expect((await auth.platform.verifier.verify(third.accessToken)).userId).toBe(first.userId);
  });

  test("a retry within ten seconds gets the same pair, byte by byte", async () => {
    const first = await auth.session();
    const second = await refresh(first.refreshToken);
    await auth.advance(10_000);
    const again = await refresh(first.refreshToken);
    expect(again).toEqual(second);
    await refresh(again.refreshToken);
  });

  test("retries at once all get the same pair", async () => {
    const first = await auth.session();
    const answers = await Promise.all(Array.from({ length: 6 }, () => refresh(first.refreshToken)));
    expect(new Set(answers.map(({ refreshToken, accessToken }) => `${refreshToken} ${accessToken}`)).size).toBe(1);
  });

  test("a retry gets the same pair although the signing key was changed in between", async () => {
    const first = await auth.session();
    const second = await refresh(first.refreshToken);
    await auth.as("admin", AuthService).rotateSigningKey({});
    expect(await refresh(first.refreshToken)).toEqual(second);
    await auth.advance(2 * MINUTE);
  });

  test("a token used again later ends the whole family", async () => {
    const first = await auth.session();
    const second = await refresh(first.refreshToken);
    await auth.advance(10_001);
    expect(await refusal(refresh(first.refreshToken))).toMatchObject({
      code: "Unauthenticated",
      reason: "REFRESH_TOKEN_REUSED",
    });
    expect(await refusal(refresh(second.refreshToken))).toMatchObject({
      code: "Unauthenticated",
      reason: "SESSION_ENDED",
    });
    expect(await refusal(refresh(first.refreshToken))).toMatchObject({ reason: "SESSION_ENDED" });
    await auth.login(first.email);
  });

  test("a token whose successor is used already has no grace", async () => {
    const first = await auth.session();
    const second = await refresh(first.refreshToken);
    const third = await refresh(second.refreshToken);
    expect(await refusal(refresh(first.refreshToken))).toMatchObject({ reason: "REFRESH_TOKEN_REUSED" });
    expect(await refusal(refresh(third.refreshToken))).toMatchObject({ reason: "SESSION_ENDED" });
  });

  test("reuse in one session leaves the user's other sessions alone", async () => {
    const first = await auth.session();
    const other = await auth.login(first.email);
    await refresh(first.refreshToken);
    await auth.advance(11_000);
    await refusal(refresh(first.refreshToken));
    await refresh(other.refreshToken);
  });

  test("a session ends thirty days after its beginning, however often it is refreshed", async () => {
    let { refreshToken } = await auth.session();
    for (let day = 0; day < 29; day++) {
      await auth.advance(DAY);
      refreshToken = (await refresh(refreshToken)).refreshToken;
    }
    await auth.advance(DAY);
    expect(await refusal(refresh(refreshToken))).toMatchObject({ code: "Unauthenticated", reason: "SESSION_ENDED" });
  });

  test("new roles come with the next access token", async () => {
    const first = await auth.session();
    await auth.as("admin", AuthService).setRoles({ userId: first.userId, roles: [Role.KITCHEN] });
    const { accessToken } = await refresh(first.refreshToken);
    expect((await auth.platform.verifier.verify(accessToken)).roles).toEqual([Role.KITCHEN]);
  });

  test("an access token, a made-up token and an empty one are refused", async () => {
    const { accessToken } = await auth.session();
    for (const token of [accessToken.slice(0, 512), "a".repeat(43)]) {
      expect(await refusal(refresh(token))).toMatchObject({ code: "Unauthenticated", reason: "REFRESH_TOKEN_INVALID" });
    }
    expect(await refusal(refresh(""))).toMatchObject({ code: "InvalidArgument" });
  });
});

describe("logging out", () => {
  test("ends this session, twice as well as once, and no other", async () => {
    const first = await auth.session();
    const other = await auth.login(first.email);
    const { refreshToken } = first;
    await auth.anyone.logout({ refreshToken });
    await auth.anyone.logout({ refreshToken });
    await auth.anyone.logout({ refreshToken: "unknown" });
    expect(await refusal(refresh(refreshToken))).toMatchObject({ reason: "SESSION_ENDED" });
    await refresh(other.refreshToken);
  });

  test("everywhere ends every session of the caller, and nobody else's", async () => {
    const first = await auth.session();
    const other = await auth.login(first.email);
    const neighbour = await auth.session();
    await auth.as({ userId: first.userId, roles: [Role.CUSTOMER] }, AuthService).logoutAll({});
    for (const { refreshToken } of [first, other])
      expect(await refusal(refresh(refreshToken))).toMatchObject({ reason: "SESSION_ENDED" });
    await refresh(neighbour.refreshToken);
    expect(await refusal(auth.anyone.logoutAll({}))).toMatchObject({ code: "Unauthenticated" });
  });
});
