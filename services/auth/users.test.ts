import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AuthService, Role, SigningKeyStatus } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { createVerifier } from "../../packages/service/wire/tokens.ts";
import { type AuthSystem, outcomes, refusal, startAuth } from "../../tests/kit/services/auth.ts";
import { readConfig } from "./config.ts";
import { signingKey } from "./keys.ts";
import { auth as authService } from "./service.ts";

const ADMIN = { email: "admin@bodega.test", password: "correct horse battery" };
const MINUTE = 60_000;

// Passwords are hashed for real, a few dozen in some tests.
setDefaultTimeout(30_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const asAdmin = () => auth.as("admin", AuthService);
const keys = async () => JSON.parse((await auth.anyone.getSigningKeys({})).jwks).keys as Record<string, string>[];
const kidOf = (token: string) =>
  JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()).kid as string;

describe("the admin", () => {
  test("is there after the first start, verified, and told as a fact", async () => {
    const { accessToken } = await auth.anyone.login(ADMIN);
    const claims = await auth.platform.verifier.verify(accessToken);
    expect(claims.roles).toEqual([Role.CUSTOMER, Role.ADMIN]);
    await auth.settle();
    expect(auth.facts.filter(({ userId }) => userId === claims.userId).map(({ type }) => type)).toEqual([
      "user.registered",
      "user.verified",
    ]);
  });

  test("is made once, however often and in however many processes the service starts", async () => {
    const { starts, config } = authService({ ADMIN_EMAIL: "second@bodega.test", ADMIN_PASSWORD: ADMIN.password });
    const app = { ...auth.app("auth"), config };
    await Promise.all([starts?.(app), starts?.(app)]);
    await starts?.(app);
    const rows = await app.sql<{ user_id: string }[]>`select user_id from users where email = 'second@bodega.test'`;
    expect(rows).toHaveLength(1);
    await auth.settle();
    expect(auth.facts.filter(({ userId }) => userId === rows[0]?.user_id)).toHaveLength(2);
    await asAdmin().setRoles({ userId: rows[0]?.user_id ?? "", roles: [Role.CUSTOMER] });
  });

  test("the configuration is refused when it cannot be meant", () => {
    expect(() => readConfig({ ADMIN_EMAIL: "nobody" })).toThrow("ADMIN_EMAIL must be an e-mail address");
    expect(() => readConfig({ ADMIN_PASSWORD: "short" })).toThrow(
      "ADMIN_PASSWORD must have at least 8 characters, found 5",
    );
    expect(() => readConfig({ AUTH_SECRET: "short" })).toThrow("AUTH_SECRET must have at least 32 characters");
    expect(readConfig({})).toEqual({
      adminEmail: ADMIN.email,
      adminPassword: undefined,
      secret: undefined,
      adminTotp: false,
      passkeys: undefined,
    });
  });
});

describe("users", () => {
  test("are listed to admins page by page, each once", async () => {
    for (let user = 0; user < 3; user++) await auth.newcomer();
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await asAdmin().listUsers({ pageSize: 2, pageToken });
      expect(page.users.length).toBeLessThanOrEqual(2);
      seen.push(...page.users.map(({ userId }) => userId));
      pageToken = page.nextPageToken;
    } while (pageToken);
    const [row] = await auth.app("auth").sql<{ count: bigint }[]>`select count(*) as count from users`;
    expect(seen).toHaveLength(Number(row?.count));
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(await refusal(asAdmin().listUsers({ pageToken: "'; drop table users" }))).toMatchObject({
      code: "InvalidArgument",
    });
    expect(await refusal(asAdmin().listUsers({ pageSize: 101 }))).toMatchObject({ code: "InvalidArgument" });
  });

  test("are nobody else's business", async () => {
    const { userId } = await auth.customer();
    const customer = { userId, roles: [Role.CUSTOMER] };
    for (const who of ["anonymous", "kitchen", customer] as const) {
      const client = auth.as(who, AuthService);
      const code = who === "anonymous" ? "Unauthenticated" : "PermissionDenied";
      expect(await refusal(client.listUsers({}))).toMatchObject({ code });
      expect(await refusal(client.setRoles({ userId, roles: [Role.ADMIN] }))).toMatchObject({ code });
      expect(await refusal(client.rotateSigningKey({}))).toMatchObject({ code });
    }
    expect(await refusal(auth.anyone.getMe({}))).toMatchObject({ code: "Unauthenticated" });
    expect(await refusal(auth.as(auth.newCustomer(), AuthService).getMe({}))).toMatchObject({
      code: "NotFound",
      reason: "USER_NOT_FOUND",
    });
  });

  test("get roles from an admin; ROLE_SERVICE is nobody's", async () => {
    const { userId } = await auth.customer();
    const { user } = await asAdmin().setRoles({ userId: userId.toUpperCase(), roles: [Role.KITCHEN, Role.CUSTOMER] });
    expect(user).toMatchObject({ userId, roles: [Role.CUSTOMER, Role.KITCHEN] });
    for (const roles of [[Role.SERVICE], [Role.UNSPECIFIED], [], [Role.ADMIN, Role.ADMIN], [99 as Role]]) {
      expect(await refusal(asAdmin().setRoles({ userId, roles }))).toMatchObject({ code: "InvalidArgument" });
    }
    const nobody = auth.random.id();
    expect(await refusal(asAdmin().setRoles({ userId: nobody, roles: [Role.ADMIN] }))).toMatchObject({
      code: "NotFound",
    });
  });

  test("the last admin keeps the role, also when two admins take it from each other at once", async () => {
    const { users } = await asAdmin().listUsers({ pageSize: 100 });
    const first = users.find(({ email }) => email === ADMIN.email)?.userId ?? "";
    const demote = (userId: string) => asAdmin().setRoles({ userId, roles: [Role.CUSTOMER] });
    expect(await refusal(demote(first))).toMatchObject({ code: "FailedPrecondition", reason: "LAST_ADMIN" });
    const { userId: second } = await auth.customer();
    await asAdmin().setRoles({ userId: second, roles: [Role.ADMIN] });
    const done = await outcomes([demote(first), demote(second)]);
    expect(done.filter(Boolean)).toHaveLength(1);
    const admins = (await asAdmin().listUsers({ pageSize: 100 })).users.filter(({ roles }) =>
      roles.includes(Role.ADMIN),
    );
    expect(admins).toHaveLength(1);
  });
});

describe("signing keys", () => {
  test("are public in their public half only: one that signs, one that is next", async () => {
    const published = await keys();
    expect(published).toHaveLength(2);
    for (const key of published) {
      expect(key).toMatchObject({ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig" });
      expect(key).not.toHaveProperty("d");
    }
  });

  test("a change is heard of by every verifier before it happens, and tokens of the former key live to their end", async () => {
    const { email } = await auth.customer();
    const before = await auth.login(email);
    const known = (await keys()).map((key) => key["kid"]);
    const { kid } = await asAdmin().rotateSigningKey({});
    expect(known).toContain(kid);
    const after = await auth.login(email);
    expect(kidOf(after.accessToken)).toBe(kid);
    await auth.platform.verifier.verify(after.accessToken);
    await auth.advance(9 * MINUTE);
    const former = kidOf(before.accessToken);
    expect((await keys()).map((key) => key["kid"])).toContain(former);
    await auth.platform.verifier.verify(before.accessToken);
    await auth.advance(5 * MINUTE);
    expect((await keys()).map((key) => key["kid"])).not.toContain(former);
  });

  test("changes in quick succession wait until the next key is known; no token is refused", async () => {
    const { email } = await auth.customer();
    await auth.advance(MINUTE);
    const verifier = createVerifier(async () => ({ keys: await keys() }), auth.clock);
    const first = await asAdmin().rotateSigningKey({});
    const { accessToken } = await auth.login(email);
    await verifier.verify(accessToken);
    const [second, third] = await Promise.all([asAdmin().rotateSigningKey({}), asAdmin().rotateSigningKey({})]);
    expect(new Set([first.kid, second.kid, third.kid]).size).toBe(3);
    const soon = await auth.login(email);
    expect(kidOf(soon.accessToken)).toBe(first.kid);
    await verifier.verify(soon.accessToken);
    await auth.advance(MINUTE);
    const late = await auth.login(email);
    expect([second.kid, third.kid]).toContain(kidOf(late.accessToken));
  });

  test("one that is revoked ends with every token it signed within a minute; the next signs at once, and sessions go on", async () => {
    const { email } = await auth.customer();
    await asAdmin().rotateSigningKey({});
    await auth.advance(MINUTE);
    const real = { ms: 0 };
    const verifier = createVerifier(async () => ({ keys: await keys() }), auth.clock, { nowMs: () => real.ms });
    const before = await auth.login(email);
    await verifier.verify(before.accessToken);
    const again = await auth.anyone.refresh({ refreshToken: before.refreshToken });
    const kid = kidOf(before.accessToken);
    const { kid: next } = await asAdmin().revokeSigningKey({ kid, reason: "a laptop was lost" });
    expect(await asAdmin().revokeSigningKey({ kid, reason: "twice" })).toMatchObject({ kid: next });
    expect((await keys()).map((key) => key["kid"])).not.toContain(kid);
    real.ms = MINUTE + 1;
    expect(await refusal(verifier.verify(before.accessToken))).toMatchObject({ code: "Unauthenticated" });
    // An answer that was lost is given again, with a token that is accepted.
    const once = await auth.anyone.refresh({ refreshToken: before.refreshToken });
    expect(once.refreshToken).toBe(again.refreshToken);
    expect(kidOf(once.accessToken)).toBe(next);
    await verifier.verify(once.accessToken);
    const { signingKeys } = await asAdmin().listSigningKeys({});
    const byStatus = (status: SigningKeyStatus) => signingKeys.filter((key) => key.status === status);
    expect(byStatus(SigningKeyStatus.REVOKED)).toMatchObject([{ kid, reason: "a laptop was lost" }]);
    expect(byStatus(SigningKeyStatus.SIGNS)).toMatchObject([{ kid: next }]);
    expect(byStatus(SigningKeyStatus.STANDBY)).toHaveLength(1);
    expect(await refusal(asAdmin().revokeSigningKey({ kid: "key-none", reason: "no" }))).toMatchObject({
      reason: "SIGNING_KEY_NOT_FOUND",
    });
  });

  test("whichever is revoked, also in the minute of a change, one signs and one is next", async () => {
    for (const revoke of [SigningKeyStatus.STANDBY, SigningKeyStatus.SIGNS, SigningKeyStatus.FORMER]) {
      await asAdmin().rotateSigningKey({});
      await asAdmin().rotateSigningKey({});
      const listed = (await asAdmin().listSigningKeys({})).signingKeys.filter(({ status }) => status === revoke);
      for (const { kid } of listed) await asAdmin().revokeSigningKey({ kid, reason: "lost" });
      const app = auth.app("auth");
      const { kid } = await signingKey(app);
      expect((await keys()).map((key) => key["kid"])).toContain(kid);
      expect(listed.map((key) => key.kid)).not.toContain(kid);
      const { signingKeys } = await asAdmin().listSigningKeys({});
      expect(signingKeys.filter(({ status }) => status === SigningKeyStatus.STANDBY)).toHaveLength(1);
      await auth.advance(15 * MINUTE);
    }
  });

  test("of services that start together for the first time one makes the keys", async () => {
    const fresh = await startAuth();
    try {
      const app = fresh.app("auth");
      await app.sql`delete from signing_keys`;
      await app.sql`delete from root_secret`;
      const made = await Promise.all(Array.from({ length: 4 }, () => signingKey(app)));
      expect(new Set(made.map(({ kid }) => kid)).size).toBe(1);
      const [row] = await app.sql<{ keys: bigint; secrets: bigint }[]>`
        select (select count(*) from signing_keys) as keys, (select count(*) from root_secret) as secrets`;
      expect(row).toEqual({ keys: 2n, secrets: 1n });
    } finally {
      await fresh.close();
    }
  });

  test("are sealed: a copy of the table signs nothing, and another AUTH_SECRET makes new keys at the next start", async () => {
    const secret = "a secret of at least 32 characters";
    const fresh = await startAuth({ AUTH_SECRET: secret });
    try {
      const app = fresh.app("auth");
      const [row] = await app.sql<{ text: string; secrets: bigint }[]>`
        select string_agg(encode(sealed_private_jwk, 'escape'), '') as text, (select count(*) from root_secret) as secrets from signing_keys`;
      expect(row?.text).not.toContain('"d"');
      expect(row?.secrets).toBe(0n);
      const { email } = await fresh.customer();
      const before = await fresh.login(email);
      const env = { AUTH_SECRET: "quite another secret of that length" };
      const { starts } = authService(env);
      const changed = { ...app, config: readConfig(env) };
      await expect(signingKey(changed)).rejects.toThrow("was sealed with another AUTH_SECRET");
      await Promise.all([starts?.(changed), starts?.(changed)]);
      expect((await signingKey(changed)).kid).not.toBe(kidOf(before.accessToken));
      expect((await fresh.anyone.getSigningKeys({})).jwks).toContain(kidOf(before.accessToken));
    } finally {
      await fresh.close();
    }
  });
});
