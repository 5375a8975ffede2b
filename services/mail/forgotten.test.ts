import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OrderCompleted, UserDeleted, UserEmailChanged, UserRegistered } from "../../packages/api/facts.ts";
import { MailService, MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { refusal } from "../../tests/kit/refusal.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";

setDefaultTimeout(60_000);
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["mail"] });
});
afterAll(() => system.close());

const total = { currencyCode: "EUR", minorUnits: 450n };
const complete = (customerId: string, orderId: string) =>
  tell(system, factMessage(system, OrderCompleted, { orderId, customerId, total }));
const mailsOf = async (orderId: string) => (await system.as("admin", MailService).listMails({ orderId })).mails;

async function registered() {
  const { userId } = system.newCustomer();
  const email = `u-${userId}@example.test`;
  await tell(system, factMessage(system, UserRegistered, { userId, email, displayName: "Ada" }));
  return { userId, email };
}

test("who has another address is written to there", async () => {
  const { userId } = await registered();
  const email = `new-${userId}@example.test`;
  const changed = factMessage(system, UserEmailChanged, { userId, email, displayName: "Ada" });
  await tell(system, changed, changed);
  const orderId = system.random.id();
  await complete(userId, orderId);
  expect(await mailsOf(orderId)).toMatchObject([{ to: email }]);
});

test("of who has deleted the account nothing is kept that says who it was, and later facts of the orders are mailed to nobody", async () => {
  const [{ userId, email }, neighbour] = [await registered(), await registered()];
  const [before, after, theirs] = [system.random.id(), system.random.id(), system.random.id()];
  await complete(userId, before);
  await complete(neighbour.userId, theirs);
  const deleted = factMessage(system, UserDeleted, { userId });
  await tell(system, deleted, deleted);
  // A registration that comes once more, by a way that was cut, brings nobody back.
  await tell(system, factMessage(system, UserRegistered, { userId, email, displayName: "Ada" }));
  await complete(userId, after);
  expect(await mailsOf(before)).toMatchObject([{ to: "", status: MailStatus.SENT }]);
  expect(await mailsOf(after)).toMatchObject([
    { to: "", status: MailStatus.DROPPED, error: "the account was deleted" },
  ]);
  expect(await mailsOf(theirs)).toMatchObject([{ to: neighbour.email }]);
  const { sql } = system.app("mail");
  for (const table of ["contacts", "mails"]) {
    const rows = await sql.unsafe(`select t::text as row from ${table} t`);
    expect([table, rows.filter(({ row }) => String(row).includes(email))]).toEqual([table, []]);
  }
  const [mail] = await mailsOf(before);
  const resent = system.as("admin", MailService).resendMail({ mailId: mail?.mailId ?? "" });
  expect((await refusal(resent)).reason).toBe("ACCOUNT_DELETED");
});
