// Who had power, and has a token that still says so.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { TOTP } from "otpauth";
import { AuthService, Role } from "../../packages/api/gen/bodega/auth/v1/auth_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { StockService } from "../../packages/api/gen/bodega/stock/v1/stock_pb.ts";
import { bindRpcs, route } from "../../packages/service/wire/rpc.ts";
import { type AuthSystem, PASSWORD, refusal, startAuth } from "../kit/services/auth.ts";

setDefaultTimeout(60_000);
let auth: AuthSystem;
beforeAll(async () => {
  auth = await startAuth({}, ["stock"]);
});
afterAll(() => auth.close());

const DENIED = { code: "PermissionDenied", reason: "PERMISSION_DENIED", retryMs: undefined };

/** An admin by auth's own word, and the headers of a token that says so. */
async function newAdmin() {
  const { email, userId } = await auth.customer();
  await auth.as("admin", AuthService).setRoles({ userId, roles: [Role.ADMIN] });
  const { accessToken } = await auth.login(email, PASSWORD);
  return { email, userId, with: { headers: { authorization: `Bearer ${accessToken}` } } };
}

function acts(admin: Awaited<ReturnType<typeof newAdmin>>) {
  const { userId } = admin;
  const [own, stock, ops] = [
    auth.anyone,
    auth.as("anonymous", StockService),
    auth.as("anonymous", OpsService, "stock"),
  ];
  const id = auth.random.id();
  return {
    SetRoles: () => own.setRoles({ userId, roles: [Role.ADMIN] }, admin.with),
    RotateSigningKey: () => own.rotateSigningKey({}, admin.with),
    RevokeSigningKey: () => own.revokeSigningKey({ kid: "key-none", reason: "lost" }, admin.with),
    AdjustStock: () => stock.adjustStock({ requestId: id, productId: id, delta: 5, reason: "found" }, admin.with),
    ReplayParked: () => ops.replayParked({ service: "stock", parkedIds: [id] }, admin.with),
    DiscardParked: () => ops.discardParked({ service: "stock", parkedIds: [id], reason: "gone" }, admin.with),
  };
}

test("an admin who is none any more does nothing by a token from before: not even make himself one again", async () => {
  const admin = await newAdmin();
  await acts(admin).SetRoles();
  await acts(admin).ReplayParked();
  await auth.as("admin", AuthService).setRoles({ userId: admin.userId, roles: [Role.CUSTOMER] });
  for (const [name, act] of Object.entries(acts(admin))) expect([name, await refusal(act())]).toEqual([name, DENIED]);
  const { roles } = (await auth.as("admin", AuthService).listUsers({ pageSize: 100 })).users.find(
    ({ userId }) => userId === admin.userId,
  ) ?? { roles: [] };
  expect(roles).toEqual([Role.CUSTOMER]);
});

test("while auth cannot be asked nobody uses power, and reads go on", async () => {
  const admin = await newAdmin();
  const running = auth.platform.services.find(({ name }) => name === "stock");
  if (!running) throw new Error("expected stock to run");
  // The same service, with auth out of its reach.
  const call = () => {
    throw new Error("auth is away");
  };
  const rpcs = bindRpcs({ ...running.app, call }, running.definition, auth.platform.verifier);
  const stock = createClient(
    StockService,
    createRouterTransport((router) => route(router, rpcs)),
  );
  const id = auth.random.id();
  const adjusting = stock.adjustStock({ requestId: id, productId: id, delta: 5, reason: "found" }, admin.with);
  expect(await refusal(adjusting)).toEqual({ code: "Unavailable", reason: "ROLES_UNKNOWN", retryMs: 1_000 });
  expect(await stock.listReservations({}, admin.with)).toHaveProperty("reservations");
});

test("what a user may do now is told to services only", async () => {
  const { userId } = await auth.customer();
  for (const who of ["anonymous", "admin", "kitchen"] as const)
    expect((await refusal(auth.as(who, AuthService).getRoles({ userId }))).code).toBe(
      who === "anonymous" ? "Unauthenticated" : "PermissionDenied",
    );
});

test("where admins need a second factor, one without it has no power: by no new token, nor a refreshed one, nor one from before", async () => {
  const strict = await startAuth({ REQUIRE_ADMIN_TOTP: "on" });
  try {
    const rolesIn = async (token: string) => (await strict.platform.verifier.verify(token)).roles;
    const admin = { email: "admin@bodega.test", password: "correct horse battery" };
    const { accessToken, refreshToken } = await strict.anyone.login(admin);
    expect(await rolesIn(accessToken)).toEqual([Role.CUSTOMER]);
    expect(await rolesIn((await strict.anyone.refresh({ refreshToken })).accessToken)).toEqual([Role.CUSTOMER]);
    const { userId } = await strict.platform.verifier.verify(accessToken);
    const roles = async () => (await strict.app("auth").call(AuthService).getRoles({ userId })).roles;
    expect(await roles()).toEqual([Role.CUSTOMER]);
    const { secret } = await strict.anyone.enrolTotp(
      { password: admin.password },
      { headers: { authorization: `Bearer ${accessToken}` } },
    );
    const code = new TOTP({ secret }).generate({ timestamp: strict.clock.now().getTime() });
    await strict.anyone.confirmTotp({ code }, { headers: { authorization: `Bearer ${accessToken}` } });
    expect(await roles()).toEqual([Role.CUSTOMER, Role.ADMIN]);
  } finally {
    await strict.close();
  }
});
