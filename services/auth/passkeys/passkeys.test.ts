// The whole way with a passkey, as the pages of a shop go it; who attacks it is in attacks.test.ts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { TOTP } from "otpauth";
import { AuditRecorded } from "../../../packages/api/facts.ts";
import { AuthService, Role } from "../../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { ADDRESS_HEADER } from "../../../packages/service/wire/rpc.ts";
import { authenticator } from "../../../tests/kit/authenticator.ts";
import { type AuthSystem, bearing, PASSWORD, refusal, startAuth } from "../../../tests/kit/services/auth.ts";
import { readConfig } from "../config.ts";

const ORIGIN = "https://www.shop.example";
const NEW = "four green herons";
const STEP_MS = 30_000;

// Passwords are hashed for real, a few in each test.
setDefaultTimeout(60_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth({ PASSKEY_ORIGINS: `${ORIGIN}, https://shop.example`, REQUIRE_ADMIN_TOTP: "on" });
});
afterAll(() => auth.close());

const refused = async (call: Promise<unknown>) => (await refusal(call)).reason;

async function add(accessToken: string, name = "Telephone", device = authenticator(ORIGIN), code = "") {
  const as = bearing(accessToken);
  const { options, challenge } = await auth.anyone.beginPasskeyRegistration({ password: PASSWORD, code }, as);
  const credential = device.create(options);
  const { passkey } = await auth.anyone.finishPasskeyRegistration({ challenge, credential, name }, as);
  return { device, passkeyId: passkey?.passkeyId ?? "" };
}

async function enter(device: ReturnType<typeof authenticator>, from = "") {
  const { options, challenge } = await auth.anyone.beginPasskeyLogin({});
  const headers = { [ADDRESS_HEADER]: from };
  return auth.anyone.completePasskeyLogin({ challenge, credential: device.get(options) }, { headers });
}

const keysOf = async (accessToken: string) => (await auth.anyone.listPasskeys({}, bearing(accessToken))).passkeys;

describe("a passkey", () => {
  test.each(["P-256", "Ed25519"] as const)("of %s opens its account by itself, again and again", async (algorithm) => {
    const { accessToken, userId, email } = await auth.session();
    const { device, passkeyId } = await add(accessToken, "Ada's key", authenticator(ORIGIN, { algorithm }));
    expect(await keysOf(accessToken)).toMatchObject([{ passkeyId, name: "Ada's key", synced: false }]);
    expect((await keysOf(accessToken))[0]?.lastUsedAt).toBeUndefined();
    for (let times = 0; times < 2; times++) {
      const opened = await enter(device);
      expect((await auth.platform.verifier.verify(opened.accessToken)).userId).toBe(userId);
      await auth.anyone.refresh({ refreshToken: opened.refreshToken });
    }
    expect((await keysOf(accessToken))[0]?.lastUsedAt).toBeDefined();
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.PASSKEY_ADDED]);
  });

  test("that does not count is good all the same", async () => {
    const { accessToken } = await auth.session();
    const { device } = await add(accessToken, "Synced", authenticator(ORIGIN, { counts: false }));
    for (let times = 0; times < 3; times++) await enter(device);
  });

  test("is asked to verify its user, to be found without a name, and for no attestation; a login names nobody", async () => {
    const { accessToken, email, userId } = await auth.session();
    const { device } = await add(accessToken);
    const begun = await auth.anyone.beginPasskeyRegistration({ password: PASSWORD }, bearing(accessToken));
    const options = JSON.parse(begun.options);
    expect(options).toMatchObject({
      rp: { id: "shop.example" },
      user: { name: email, id: Buffer.from(userId.replaceAll("-", ""), "hex").toString("base64url") },
      attestation: "none",
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
      excludeCredentials: [{ id: JSON.parse(device.create(begun.options)).rawId }],
      challenge: begun.challenge,
    });
    const login = await auth.anyone.beginPasskeyLogin({});
    expect(JSON.parse(login.options)).toMatchObject({ rpId: "shop.example", userVerification: "required" });
    expect(JSON.parse(login.options).allowCredentials).toBeUndefined();
  });

  test("is added with the password, and where there is a second factor with a code of that too", async () => {
    const { accessToken } = await auth.session();
    const begin = (password: string, code = "") =>
      auth.anyone.beginPasskeyRegistration({ password, code }, bearing(accessToken));
    expect(await refused(begin("wrong"))).toBe("CREDENTIALS_INVALID");
    const early = await begin(PASSWORD);
    const { secret } = await auth.anyone.enrolTotp({ password: PASSWORD }, bearing(accessToken));
    const shown = () => new TOTP({ secret }).generate({ timestamp: auth.clock.now().getTime() });
    await auth.anyone.confirmTotp({ code: shown() }, bearing(accessToken));
    await auth.advance(STEP_MS);
    const late = { challenge: early.challenge, credential: authenticator(ORIGIN).create(early.options), name: "Late" };
    expect(await refused(auth.anyone.finishPasskeyRegistration(late, bearing(accessToken)))).toBe("PASSWORD_CHANGED");
    expect(await refused(begin(PASSWORD))).toBe("SECOND_FACTOR_INVALID");
    const { device } = await add(accessToken, "With a code", authenticator(ORIGIN), shown());
    expect((await enter(device)).accessToken).not.toBe("");
  });

  test("that was begun with a password is not finished after another one", async () => {
    const { accessToken } = await auth.session();
    const { options, challenge } = await auth.anyone.beginPasskeyRegistration(
      { password: PASSWORD },
      bearing(accessToken),
    );
    await auth.anyone.changePassword({ oldPassword: PASSWORD, newPassword: NEW }, bearing(accessToken));
    const finish = { challenge, credential: authenticator(ORIGIN).create(options), name: "Old" };
    expect(await refused(auth.anyone.finishPasskeyRegistration(finish, bearing(accessToken)))).toBe("PASSWORD_CHANGED");
  });

  test("has nine others at most beside it, however many are finished at once", async () => {
    const { accessToken, email } = await auth.session();
    const as = bearing(accessToken);
    for (let each = 0; each < 9; each++) {
      await add(accessToken, `Number ${each}`);
      // A login begins a new row of tries of the password.
      if (each === 4) await auth.login(email);
    }
    const begun = [];
    for (let each = 0; each < 3; each++)
      begun.push(await auth.anyone.beginPasskeyRegistration({ password: PASSWORD }, as));
    const ends = await Promise.allSettled(
      begun.map(({ options, challenge }) => {
        const credential = authenticator(ORIGIN).create(options);
        return auth.anyone.finishPasskeyRegistration({ challenge, credential, name: "One more" }, as);
      }),
    );
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await keysOf(accessToken)).toHaveLength(10);
    expect(await refused(add(accessToken))).toBe("TOO_MANY_PASSKEYS");
  });

  test("is removed with the password: it opens nothing, what it opened ends but for who asks, and the owner hears of it", async () => {
    const { accessToken, email } = await auth.session();
    const { device, passkeyId } = await add(accessToken);
    const other = await add(accessToken, "Stays");
    const [elsewhere, here, unconcerned] = [await enter(device), await enter(device), await enter(other.device)];
    const remove = (password: string) => auth.anyone.removePasskey({ passkeyId, password }, bearing(here.accessToken));
    expect(await refused(remove("wrong"))).toBe("CREDENTIALS_INVALID");
    await remove(PASSWORD);
    expect(await refused(remove(PASSWORD))).toBe("PASSKEY_NOT_FOUND");
    expect(await refused(enter(device))).toBe("PASSKEY_INVALID");
    expect(await refused(auth.anyone.refresh({ refreshToken: elsewhere.refreshToken }))).toBe("SESSION_ENDED");
    for (const { refreshToken } of [here, unconcerned]) await auth.anyone.refresh({ refreshToken });
    const { ADDED, REMOVED } = { ADDED: AccountNotice.PASSKEY_ADDED, REMOVED: AccountNotice.PASSKEY_REMOVED };
    expect(await auth.noticesTo(email)).toEqual([ADDED, ADDED, REMOVED]);
  });

  test("has a name that says nothing it should not", async () => {
    const { accessToken } = await auth.session();
    expect((await refusal(add(accessToken, "see shop.example"))).code).toBe("InvalidArgument");
    expect((await refusal(add(accessToken, ""))).code).toBe("InvalidArgument");
    expect(await keysOf(accessToken)).toEqual([]);
  });

  test("tells its owner of a network that the account was never used from", async () => {
    const { accessToken, email } = await auth.session();
    const { device } = await add(accessToken);
    await enter(device, "198.51.100.7");
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.PASSKEY_ADDED, AccountNotice.NEW_NETWORK]);
  });

  test("goes with the account, and opens none that is blocked", async () => {
    const { accessToken, userId } = await auth.session();
    const { device } = await add(accessToken);
    await auth.anyone.beginPasskeyRegistration({ password: PASSWORD }, bearing(accessToken));
    const { sql } = auth.app("auth");
    await sql`update users set blocked_at = ${auth.clock.now()}, blocked_because = 'lost' where user_id = ${userId}`;
    expect(await refused(enter(device))).toBe("ACCOUNT_BLOCKED");
    await sql`update users set blocked_at = null, blocked_because = null where user_id = ${userId}`;
    await enter(device);
    await auth.anyone.deleteAccount({ password: PASSWORD }, bearing(accessToken));
    expect(await refused(enter(device))).toBe("PASSKEY_INVALID");
    for (const table of ["passkeys", "passkey_challenges"])
      expect([table, (await sql.unsafe(`select from ${table} where user_id = '${userId}'`)).length]).toEqual([
        table,
        0,
      ]);
  });
});

describe("an admin's passkey", () => {
  test("is a second factor in the sessions that it opened; the password alone has no power, and neither adds nor removes what has it", async () => {
    const told: string[] = [];
    auth.platform.events.subscribe("passkey-test", [AuditRecorded.topic], async (batch) => {
      told.push(...batch.map(({ body }) => fromBinary(AuditRecorded.schema, body).act));
    });
    const { userId, email } = await auth.customer();
    await auth.as("admin", AuthService).setRoles({ userId, roles: [Role.ADMIN] });
    const rolesIn = async ({ accessToken }: { accessToken: string }) =>
      (await auth.platform.verifier.verify(accessToken)).roles;
    const rolesToday = async () => (await auth.app("auth").call(AuthService).getRoles({ userId })).roles;
    const byPassword = await auth.login(email);
    expect([await rolesIn(byPassword), await rolesToday()]).toEqual([[], []]);
    const { device, passkeyId } = await add(byPassword.accessToken);
    const byPasskey = await enter(device);
    expect([await rolesIn(byPasskey), await rolesToday()]).toEqual([[Role.ADMIN], [Role.ADMIN]]);
    const refreshed = await auth.anyone.refresh({ refreshToken: byPasskey.refreshToken });
    expect(await rolesIn(refreshed)).toEqual([Role.ADMIN]);
    const thief = await auth.login(email);
    expect(await rolesIn(thief)).toEqual([]);
    expect(await rolesIn(await auth.anyone.refresh({ refreshToken: thief.refreshToken }))).toEqual([]);
    const remove = (token: string) => auth.anyone.removePasskey({ passkeyId, password: PASSWORD }, bearing(token));
    for (const attempt of [
      () => add(thief.accessToken),
      () => remove(thief.accessToken),
      () => auth.anyone.enrolTotp({ password: PASSWORD }, bearing(thief.accessToken)),
    ])
      expect(await refused(attempt())).toBe("PASSKEY_NEEDED");
    await add(refreshed.accessToken);
    await remove(refreshed.accessToken);
    const after = await auth.anyone.refresh({ refreshToken: refreshed.refreshToken });
    expect(await rolesIn(after)).toEqual([]);
    await auth.settle();
    const acts = ["FinishPasskeyRegistration", "FinishPasskeyRegistration", "RemovePasskey"];
    expect(told.filter((act) => act.includes("Passkey"))).toEqual(acts.map((act) => `AuthService.${act}`));
  });
});

describe("where passkeys are", () => {
  test("nothing is told, listed or opened in a shop that has none", async () => {
    const off = await startAuth();
    try {
      const { accessToken } = await off.session();
      const as = bearing(accessToken);
      const [challenge, credential] = ["none", "{}"];
      for (const call of [
        () => off.anyone.beginPasskeyRegistration({ password: PASSWORD }, as),
        () => off.anyone.finishPasskeyRegistration({ challenge, credential, name: "Mine" }, as),
        () => off.anyone.beginPasskeyLogin({}),
        () => off.anyone.completePasskeyLogin({ challenge, credential }),
        () => off.anyone.listPasskeys({}, as),
        () => off.anyone.removePasskey({ passkeyId: "01890a5d-ac96-774b-bcce-b302099a8057", password: PASSWORD }, as),
      ])
        expect(await refusal(call())).toMatchObject({ code: "FailedPrecondition", reason: "PASSKEYS_OFF" });
    } finally {
      await off.close();
    }
  });

  test.each<[string, string, string]>([
    ["https://shop.example", "", "shop.example"],
    ["https://www.shop.example,https://shop.example:8443", "", "shop.example"],
    ["https://a.shop.example, https://b.shop.example", "shop.example", "shop.example"],
    ["http://localhost:3000", "", "localhost"],
  ])("%s with %p are passkeys of %s", (PASSKEY_ORIGINS, PASSKEY_RP_ID, rpId) => {
    const origins = PASSKEY_ORIGINS.split(/, ?/);
    expect(readConfig({ PASSKEY_ORIGINS, PASSKEY_RP_ID }).passkeys).toEqual({ rpId, origins });
  });

  test.each<[string, string, string]>([
    ["http://shop.example", "", "must be origins such as"],
    ["https://shop.example/", "", "found https://shop.example/"],
    ["https://shop.example/login", "", "must be origins"],
    ["https://Shop.example", "", "must be origins"],
    ["shop.example", "", "must be origins"],
    ["https://192.0.2.1", "", "must be origins"],
    ["https://[::1]", "", "must be origins"],
    ["https://example", "", "must be origins"],
    ["https://user@shop.example", "", "must be origins"],
    ["https://a.shop.example,https://b.shop.example", "", "set PASSKEY_RP_ID"],
    ["https://shop.example", "other.example", "found shop.example"],
    ["https://badshop.example", "shop.example", "found badshop.example"],
    ["https://shop.example", "example", "found example"],
    ["https://shop.example", "https://shop.example", "must be the name of a host"],
    ["", "shop.example", "without PASSKEY_ORIGINS"],
  ])("%p with %p starts nothing", (PASSKEY_ORIGINS, PASSKEY_RP_ID, says) => {
    expect(() => readConfig({ PASSKEY_ORIGINS, PASSKEY_RP_ID })).toThrow(says);
  });
});
