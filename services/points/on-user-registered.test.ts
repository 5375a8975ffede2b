import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { UserRegistered } from "../../packages/api/facts.ts";
import { PointsService } from "../../packages/api/gen/bodega/points/v1/points_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["points"] });
});
afterAll(() => system.close());

const accounts = (userId: string) =>
  system.app("points").sql`select balance, version from accounts where user_id = ${userId}`;

test("whoever registers has an account, with nothing in it, once however often it is told", async () => {
  const userId = system.random.id();
  const registered = factMessage(system, UserRegistered, { userId });
  await tell(system, registered);
  await tell(system, registered, factMessage(system, UserRegistered, { userId }));
  expect(await accounts(userId)).toMatchObject([{ balance: 0n, version: 0n }]);
});

test("whoever had points before that was heard keeps them", async () => {
  const userId = system.random.id();
  const admin = system.as("admin", PointsService);
  await admin.grantPoints({ requestId: userId, userId, amount: 7n, reason: "a present" });
  await tell(system, factMessage(system, UserRegistered, { userId }));
  expect(await admin.getBalance({ userId })).toMatchObject({ balance: 7n });
  expect((await admin.reconcile({})).differences).toEqual([]);
});

test("a fact of nobody is parked", async () => {
  await tell(system, factMessage(system, UserRegistered, { userId: "nobody" }));
  expect(await system.app("points").sql`select 1 from parked where key = 'nobody'`).toHaveLength(1);
});
