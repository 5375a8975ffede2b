import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { TOTP } from "otpauth";
import { AuthService, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { type AuthSystem, bearing, otherThan, PASSWORD, refusal, startAuth } from "../../tests/kit/services/auth.ts";

setDefaultTimeout(60_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth();
});
afterAll(() => auth.close());

const NEW = "four green herons";
const refused = async (call: Promise<unknown>) => (await refusal(call)).reason;
describe("a password", () => {
  test("is changed by who knows the old one; all other sessions end, and the owner hears of it", async () => {
    const { email, accessToken, refreshToken } = await auth.session();
    const other = await auth.login(email);
    await auth.anyone.changePassword({ oldPassword: PASSWORD, newPassword: NEW }, bearing(accessToken));
    expect(await refused(auth.anyone.refresh({ refreshToken: other.refreshToken }))).toBe("SESSION_ENDED");
    await auth.anyone.refresh({ refreshToken });
    expect(await refused(auth.login(email))).toBe("CREDENTIALS_INVALID");
    await auth.login(email, NEW);
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.PASSWORD_CHANGED]);
  });

  test("is not changed with a token alone, and guesses at it are counted with those of Login", async () => {
    const { email, accessToken } = await auth.session();
    const guess = (oldPassword: string) =>
      auth.anyone.changePassword({ oldPassword, newPassword: NEW }, bearing(accessToken));
    const reasons = new Set<string | undefined>();
    for (let tries = 0; tries < 12; tries++) reasons.add(await refused(guess(`wrong ${tries}`)));
    expect([...reasons]).toEqual(["CREDENTIALS_INVALID", "TOO_MANY_ATTEMPTS"]);
    expect(await refused(guess(PASSWORD))).toBe("TOO_MANY_ATTEMPTS");
    expect(await auth.noticesTo(email)).toEqual([]);
  });

  test("must be as good as a first one", async () => {
    const { email, accessToken } = await auth.session();
    const change = (newPassword: string) =>
      auth.anyone.changePassword({ oldPassword: PASSWORD, newPassword }, bearing(accessToken));
    for (const bad of ["password123", email]) expect((await refusal(change(bad))).code).toBe("InvalidArgument");
  });

  test("that was reset by mail is told as well", async () => {
    const { email } = await auth.customer();
    const { ticket } = await auth.anyone.requestPasswordReset({ email });
    await auth.anyone.resetPassword({ email, ticket, code: await auth.codeFor(email), newPassword: NEW });
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.PASSWORD_CHANGED]);
  });
});

describe("an address", () => {
  test("is changed when the new one is proven: until then nothing is, and the old one is told", async () => {
    const { email, userId, accessToken } = await auth.session();
    const newEmail = auth.newEmail();
    const { ticket } = await auth.anyone.changeEmail({ newEmail, password: PASSWORD }, bearing(accessToken));
    const code = await auth.codeFor(newEmail);
    expect(await refused(auth.anyone.verifyEmail({ email: newEmail, ticket, code: otherThan(code) }))).toBe(
      "CODE_INVALID",
    );
    await auth.login(email);
    for (let times = 0; times < 2; times++) await auth.anyone.verifyEmail({ email: newEmail, ticket, code });
    expect(await refused(auth.login(email))).toBe("CREDENTIALS_INVALID");
    await auth.login(newEmail);
    const { user } = await auth.anyone.getMe({}, bearing(accessToken));
    expect(user).toMatchObject({ userId, email: newEmail });
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.EMAIL_CHANGED]);
    expect(auth.facts.filter((fact) => fact.userId === userId).at(-1)?.type).toBe("user.email_changed");
  });

  test("that is somebody's is answered like a free one; its owner is told, and no code opens it", async () => {
    const victim = await auth.customer();
    const { accessToken, email } = await auth.session();
    const change = (newEmail: string) =>
      auth.anyone.changeEmail({ newEmail, password: PASSWORD }, bearing(accessToken));
    const [taken, free] = [await change(victim.email), await change(auth.newEmail())];
    expect(taken.ticket).toHaveLength(free.ticket.length);
    await auth.settle();
    const mails = auth.mails.filter(({ body }) => body.email === victim.email).map(({ type }) => type);
    expect(mails.at(-1)).toBe("mail.send-address-taken");
    const guess = { email: victim.email, ticket: taken.ticket, code: "123456" };
    expect(await refused(auth.anyone.verifyEmail(guess))).toBe("CODE_INVALID");
    await auth.login(victim.email);
    await auth.login(email);
  });

  test("is not changed with a token alone, nor by a code without its ticket", async () => {
    const { email, accessToken } = await auth.session();
    const newEmail = auth.newEmail();
    const wrong = auth.anyone.changeEmail({ newEmail, password: "wrong" }, bearing(accessToken));
    expect(await refused(wrong)).toBe("CREDENTIALS_INVALID");
    await auth.anyone.changeEmail({ newEmail, password: PASSWORD }, bearing(accessToken));
    const code = await auth.codeFor(newEmail);
    expect(await refused(auth.anyone.verifyEmail({ email: newEmail, code }))).toBe("CODE_INVALID");
    await auth.login(email);
  });

  test("that a thief with the password asked for is not had once its owner has done something about it", async () => {
    type Owner = Awaited<ReturnType<typeof auth.session>>;
    const defences: Record<string, (owner: Owner) => Promise<unknown>> = {
      nothing: async () => {},
      "another password": ({ accessToken }) =>
        auth.anyone.changePassword({ oldPassword: PASSWORD, newPassword: NEW }, bearing(accessToken)),
      "a new one by mail": async ({ email }) => {
        const { ticket } = await auth.anyone.requestPasswordReset({ email });
        const code = await auth.codeFor(email);
        await auth.anyone.resetPassword({ email, ticket, code, newPassword: NEW });
      },
      "a second factor": async ({ accessToken }) => {
        await auth.advance(1_000);
        const { secret } = await auth.anyone.enrolTotp({ password: PASSWORD }, bearing(accessToken));
        const timestamp = auth.clock.now().getTime();
        await auth.anyone.confirmTotp({ code: new TOTP({ secret }).generate({ timestamp }) }, bearing(accessToken));
      },
      "an admin's block": ({ userId }) => auth.as("admin", AuthService).blockUser({ userId, reason: "stolen" }),
    };
    const stolen: string[] = [];
    for (const [defence, act] of Object.entries(defences)) {
      const owner = await auth.session();
      const thief = await auth.login(owner.email);
      const newEmail = auth.newEmail();
      const asked = await auth.anyone.changeEmail({ newEmail, password: PASSWORD }, bearing(thief.accessToken));
      const guess = { email: newEmail, ticket: asked.ticket, code: await auth.codeFor(newEmail) };
      await act(owner);
      const outcome = await auth.anyone.verifyEmail(guess).then(
        () => "moved",
        async () => refused(auth.anyone.verifyEmail(guess)),
      );
      if (outcome === "moved") stolen.push(defence);
      else expect(outcome).toBe("CODE_INVALID");
    }
    expect(stolen).toEqual(["nothing"]);
  });

  test("that an account has left resets nothing any more", async () => {
    const { email, accessToken } = await auth.session();
    const reset = await auth.anyone.requestPasswordReset({ email });
    const resetCode = await auth.codeFor(email);
    const newEmail = auth.newEmail();
    const { ticket } = await auth.anyone.changeEmail({ newEmail, password: PASSWORD }, bearing(accessToken));
    await auth.anyone.verifyEmail({ email: newEmail, ticket, code: await auth.codeFor(newEmail) });
    const late = { email, ticket: reset.ticket, code: resetCode, newPassword: NEW };
    expect(await refused(auth.anyone.resetPassword(late))).toBe("CODE_INVALID");
  });
});

describe("sessions", () => {
  test("are listed, newest first, with where they were opened and which of them asks", async () => {
    const { email, accessToken } = await auth.session();
    await auth.login(email, PASSWORD, "203.0.113.7");
    const { sessions } = await auth.anyone.listSessions({}, bearing(accessToken));
    expect(sessions.map(({ network, current }) => [network, current])).toEqual([
      ["203.0.113.7", false],
      ["", true],
    ]);
    const first = await auth.anyone.listSessions({ pageSize: 1 }, bearing(accessToken));
    const second = await auth.anyone.listSessions(
      { pageSize: 1, pageToken: first.nextPageToken },
      bearing(accessToken),
    );
    expect([...first.sessions, ...second.sessions].map(({ sessionId }) => sessionId)).toEqual(
      sessions.map(({ sessionId }) => sessionId),
    );
  });

  test("are ended one by one by their owner; another's is as good as none", async () => {
    const { email, accessToken } = await auth.session();
    const other = await auth.login(email);
    const stranger = await auth.session();
    const [newest] = (await auth.anyone.listSessions({}, bearing(accessToken))).sessions;
    const sessionId = newest?.sessionId ?? "";
    const end = (token: string) => auth.anyone.endSession({ sessionId }, bearing(token));
    expect(await refused(end(stranger.accessToken))).toBe("SESSION_NOT_FOUND");
    for (let times = 0; times < 2; times++) await end(accessToken);
    expect(await refused(auth.anyone.refresh({ refreshToken: other.refreshToken }))).toBe("SESSION_ENDED");
    expect((await auth.anyone.listSessions({}, bearing(accessToken))).sessions).toHaveLength(1);
  });

  test("from a network that the account was never used from are told to the owner, once", async () => {
    const { email } = await auth.session();
    for (let times = 0; times < 2; times++) await auth.login(email, PASSWORD, "203.0.113.8");
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.NEW_NETWORK]);
  });
});

describe("an account", () => {
  test("that is deleted is gone: its sessions, its password, its address, which is free again", async () => {
    const { email, userId, accessToken, refreshToken } = await auth.session();
    const remove = (password: string) => auth.anyone.deleteAccount({ password }, bearing(accessToken));
    expect(await refused(remove("wrong"))).toBe("CREDENTIALS_INVALID");
    await remove(PASSWORD);
    expect(await refused(auth.login(email))).toBe("CREDENTIALS_INVALID");
    expect(await refused(auth.anyone.refresh({ refreshToken }))).toBe("REFRESH_TOKEN_INVALID");
    expect(await refused(remove(PASSWORD))).toBe("USER_NOT_FOUND");
    expect(await auth.noticesTo(email)).toEqual([AccountNotice.DELETED]);
    expect(auth.facts.filter((fact) => fact.userId === userId).at(-1)?.type).toBe("user.deleted");
    const tables = ["users", "sessions", "known_networks", "tickets"];
    for (const table of tables) {
      const rows = await auth.app("auth").sql.unsafe(`select from ${table} where user_id = '${userId}'`);
      expect([table, rows.length]).toEqual([table, 0]);
    }
    const { ticket } = await auth.anyone.register({ email, password: NEW, displayName: "Ada" });
    await auth.anyone.verifyEmail({ email, ticket, code: await auth.codeFor(email) });
    await auth.login(email, NEW);
  });

  test("that an admin blocks is closed at once, to who knows the password too, and opened again by an admin", async () => {
    const { email, userId, refreshToken } = await auth.session();
    const admin = auth.as("admin", AuthService);
    for (let times = 0; times < 2; times++) {
      const { user } = await admin.blockUser({ userId, reason: "sells his account" });
      expect(user?.blocked).toBe(true);
    }
    expect(await refused(auth.login(email))).toBe("ACCOUNT_BLOCKED");
    expect(await refused(auth.login(email, "wrong"))).toBe("CREDENTIALS_INVALID");
    expect(await refused(auth.anyone.refresh({ refreshToken }))).toBe("SESSION_ENDED");
    const service = auth.app("auth").call(AuthService);
    expect((await service.getRoles({ userId })).roles).toEqual([]);
    expect((await admin.unblockUser({ userId })).user?.blocked).toBe(false);
    await auth.login(email);
    expect((await service.getRoles({ userId })).roles).toEqual([Role.CUSTOMER]);
    const nobody = auth.random.id();
    expect(await refused(admin.blockUser({ userId: nobody, reason: "none" }))).toBe("USER_NOT_FOUND");
    expect(await refused(admin.unblockUser({ userId: nobody }))).toBe("USER_NOT_FOUND");
  });

  test("of the last admin can neither be blocked nor deleted, and of two at once one stays", async () => {
    const { accessToken } = await auth.login("admin@bodega.test", "correct horse battery");
    const { user } = await auth.anyone.getMe({}, bearing(accessToken));
    const admin = auth.as("admin", AuthService);
    const first = user?.userId ?? "";
    expect(await refused(admin.blockUser({ userId: first, reason: "none" }))).toBe("LAST_ADMIN");
    const deleting = auth.anyone.deleteAccount({ password: "correct horse battery" }, bearing(accessToken));
    expect(await refused(deleting)).toBe("LAST_ADMIN");
    const { userId: second } = await auth.customer();
    await admin.setRoles({ userId: second, roles: [Role.ADMIN] });
    const outcomes = await Promise.allSettled(
      [first, second].map((userId) => admin.blockUser({ userId, reason: "both at once" })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
