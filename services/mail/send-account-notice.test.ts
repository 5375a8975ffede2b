import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AccountNotice } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { SendAccountNotice } from "../../packages/api/jobs.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { NOTICES } from "./send-account-notice.ts";
import { listCaught } from "./store.ts";

setDefaultTimeout(60_000);
/** One that only a newer auth tells. */
const NEWER = 99 as AccountNotice;
const MINUTE_MS = 60_000;

let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["mail"] });
});
afterAll(() => system.close());
afterEach(() => {
  delete NOTICES[NEWER];
});

async function send(notice: AccountNotice): Promise<{ noticeId: string; email: string }> {
  const [noticeId, userId] = [system.random.id(), system.random.id()];
  const email = `u-${userId}@example.test`;
  const at = timestampFromDate(system.clock.now());
  const body = create(SendAccountNotice.schema, { userId, email, displayName: "Ada", noticeId, notice, at });
  const { type } = SendAccountNotice;
  await system.platform.jobs.send("mail", [
    {
      ...{ id: system.random.id(), type, source: "test", key: SendAccountNotice.key(body), time: system.clock.now() },
      ...{ body: toBinary(SendAccountNotice.schema, body), traceparent: "", correlationId: "" },
    },
  ]);
  await system.settle();
  return { noticeId, email };
}

async function isParked(email: string): Promise<boolean> {
  const { parked } = await system.as("admin", OpsService).listParked({});
  return parked.some(({ body }) => body.includes(email));
}

const mailsTo = async (email: string) =>
  (await listCaught(system.app("mail").sql, { kind: "to", query: email }, 0, 50)).rows.length;

test("a notice that a newer auth tells waits for the newer mail that comes with it, and is sent by that", async () => {
  const { email } = await send(NEWER);
  await system.advance(20 * MINUTE_MS);
  expect([await isParked(email), await mailsTo(email)]).toEqual([false, 0]);
  NOTICES[NEWER] = { subject: "Something new", what: "Something new was done with your account." };
  await system.advance(MINUTE_MS);
  expect([await isParked(email), await mailsTo(email)]).toEqual([false, 1]);
});

test("it is parked when no such mail has come in an hour, and one that names no notice at once", async () => {
  const { email } = await send(NEWER);
  for (let waited = 0; waited < 62; waited += 1) await system.advance(MINUTE_MS);
  expect(await isParked(email)).toBe(true);
  const { email: other } = await send(AccountNotice.UNSPECIFIED);
  expect(await isParked(other)).toBe(true);
});
