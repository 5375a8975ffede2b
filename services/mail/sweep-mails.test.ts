import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { OrderCompleted, UserRegistered } from "../../packages/api/facts.ts";
import { MailService, MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { factMessage, tell } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { sweepMails } from "./sweep-mails.ts";

setDefaultTimeout(60_000);
const MINUTE_MS = 60_000;
let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["mail"] });
});
afterAll(() => system.close());

/** As a process leaves it that took the job for done and had not read the mail. */
async function forget(mailId: string) {
  await system.app("mail")
    .sql`update mails set status = 'QUEUED', sent_at = null, attempts = 0 where mail_id = ${mailId}`;
}

async function mailAbout(orderId: string) {
  const { mails } = await system.as("admin", MailService).listMails({ orderId });
  const [mail] = mails;
  if (!mail || mails.length > 1) throw new Error(`expected one mail about ${orderId}, found ${mails.length}`);
  return mail;
}

test("a mail whose job is gone is sent all the same, once a minute has passed, and one that was sent is left alone", async () => {
  const { userId } = system.newCustomer();
  const [forgotten, sent] = [system.random.id(), system.random.id()];
  const total = { currencyCode: "EUR", minorUnits: 450n };
  const email = `u-${userId}@example.test`;
  await tell(system, factMessage(system, UserRegistered, { userId, email, displayName: "Ada" }));
  for (const orderId of [forgotten, sent])
    await tell(system, factMessage(system, OrderCompleted, { orderId, customerId: userId, total }));
  await forget((await mailAbout(forgotten)).mailId);
  await sweepMails(system.app("mail"));
  await system.settle();
  expect((await mailAbout(forgotten)).status).toBe(MailStatus.QUEUED);
  await system.advance(MINUTE_MS + 1);
  await sweepMails(system.app("mail"));
  await system.settle();
  expect(await mailAbout(forgotten)).toMatchObject({ status: MailStatus.SENT, attempts: 1 });
  expect(await mailAbout(sent)).toMatchObject({ status: MailStatus.SENT, attempts: 1 });
});
