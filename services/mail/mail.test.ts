import { afterAll, beforeAll, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  OrderCancelled,
  OrderCompleted,
  OrderCreated,
  OrderPaid,
  PaymentFailed,
  PaymentRefunded,
  UserRegistered,
} from "../../packages/api/facts.ts";
import { MailService, MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { CancelReason } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { SendPasswordReset, SendVerificationCode } from "../../packages/api/jobs.ts";
import type { BodyInit, Fact, Job } from "../../packages/api/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import { listCaught } from "./store.ts";

let system: System;
beforeAll(async () => {
  system = await startSystem({ services: ["mail"] });
});
afterAll(() => system.close());

function publish<F extends Fact>(fact: F, init: BodyInit<F>, id = system.random.id()): Promise<void> {
  const body = create(fact.schema, init as never);
  const { type, topic } = fact;
  return system.platform.events.publish([
    {
      id,
      type,
      topic,
      key: fact.key(body),
      source: "test",
      time: system.clock.now(),
      body: toBinary(fact.schema, body),
      traceparent: "",
      correlationId: "",
    },
  ]);
}

function send<J extends Job>(job: J, init: BodyInit<J>, id = system.random.id()): Promise<void> {
  const body = create(job.schema, init as never);
  return system.platform.jobs.send("mail", [
    {
      ...{ id, type: job.type, source: "test", key: job.key(body), time: system.clock.now() },
      ...{ body: toBinary(job.schema, body), traceparent: "", correlationId: "" },
    },
  ]);
}

async function newContact(name = "Ada"): Promise<{ customerId: string; email: string }> {
  const { userId } = system.newCustomer();
  const email = `u-${userId}@example.test`;
  await publish(UserRegistered, { userId, email, displayName: name });
  await system.settle();
  return { customerId: userId, email };
}

const inbox = async (email: string) =>
  (await listCaught(system.app("mail").sql, { kind: "to", query: email }, 0, 50)).rows;
const subjects = async (email: string) => (await inbox(email)).map(({ data }) => /^Subject: (.*)\r$/m.exec(data)?.[1]);
const mails = () => system.as("admin", MailService);
const refusal = async (call: Promise<unknown>) => ConnectError.from(await call.catch((error: unknown) => error)).code;
const later = (ms: number) => timestampFromDate(new Date(system.clock.now().getTime() + ms));
const total = { currencyCode: "EUR", minorUnits: 450n };
const line = {
  productId: "p",
  name: "Café <au lait>",
  quantity: 2,
  unitPrice: { currencyCode: "EUR", minorUnits: 225n },
};

/** Every fact that is a mail: what it is about comes with it. */
const FACTS = [
  {
    subject: "Order received: ",
    tell: (o: Order, id?: string) =>
      publish(OrderCreated, { ...o, lines: [line], total, expiresAt: later(86_400_000) }, id),
    says: "EUR 4.50",
  },
  {
    subject: "Payment received: ",
    tell: (o: Order, id?: string) => publish(OrderPaid, { ...o, total }, id),
    says: "EUR 4.50",
  },
  {
    subject: "Order completed: ",
    tell: (o: Order, id?: string) => publish(OrderCompleted, { ...o, total }, id),
    says: "EUR 4.50",
  },
  {
    subject: "Order cancelled: ",
    tell: (o: Order, id?: string) => publish(OrderCancelled, { ...o, total, reason: CancelReason.OUT_OF_STOCK }, id),
    says: "out of stock",
  },
  {
    subject: "Payment declined: ",
    tell: (o: Order, id?: string) =>
      publish(PaymentFailed, { ...o, paymentId: o.orderId, amount: total, reason: "no money" }, id),
    says: "no money",
  },
  {
    subject: "Refund: ",
    tell: (o: Order, id?: string) =>
      publish(PaymentRefunded, { ...o, paymentId: o.orderId, amount: total, reason: "returned" }, id),
    says: "returned",
  },
];
interface Order {
  orderId: string;
  customerId: string;
}

for (const { subject, tell, says } of FACTS) {
  test(`"${subject}" is mailed once, names its order and comes with a Message-ID that follows from it`, async () => {
    const { customerId, email } = await newContact();
    const order = { orderId: system.random.idFor(customerId), customerId };
    const id = system.random.id();
    await tell(order, id);
    await system.settle();
    await tell(order, id);
    await system.settle();
    const [mail, ...others] = await inbox(email);
    expect(others).toEqual([]);
    expect(mail?.received).toHaveLength(1);
    expect(mail?.data).toContain(`\r\nSubject: ${subject}`);
    expect(mail?.data.split(order.orderId).length).toBeGreaterThan(3);
    expect(mail?.data).toContain(says);
    expect(mail?.message_id).toMatch(new RegExp(`^<[a-z_]+\\.${order.orderId}\\.[01]@bodega>$`));
    const { mails: listed } = await mails().listMails({ orderId: order.orderId });
    expect(listed).toMatchObject([
      { to: email, status: MailStatus.SENT, attempts: 1, error: "", messageId: mail?.message_id ?? "" },
    ]);
  });
}

test("the same fact told anew writes no second mail, and each refund has a mail of its own", async () => {
  const { customerId, email } = await newContact();
  const order = { orderId: system.random.idFor(customerId), customerId };
  for (const fact of [FACTS[0], FACTS[0], FACTS[5], FACTS[5]]) await fact?.tell(order);
  await system.settle();
  expect((await inbox(email)).map((mail) => mail.message_id).sort()).toEqual([
    `<order_received.${order.orderId}.0@bodega>`,
    `<refund.${order.orderId}.1@bodega>`,
    `<refund.${order.orderId}.2@bodega>`,
  ]);
});

test("an order whose owner is not known yet waits for the owner", async () => {
  const { userId } = system.newCustomer();
  await FACTS[0]?.tell({ orderId: system.random.idFor(userId), customerId: userId });
  const { sql } = system.app("mail");
  while ((await sql`select from jobs where error like ${`%no contact ${userId}%`}`).length === 0) await Bun.sleep(2);
  await publish(UserRegistered, { userId, email: "early@example.test", displayName: "Early" });
  await system.settle();
  expect(await subjects("early@example.test")).toHaveLength(1);
});

test("a contact without a mail address is parked at once, and its neighbours are not held up", async () => {
  const { userId } = system.newCustomer();
  await publish(UserRegistered, { userId, email: "x@example.test\r\nBcc: eve@example.test", displayName: "Eve" });
  const { email } = await newContact();
  const { parked } = await system.as("admin", OpsService).listParked({});
  expect(parked.filter(({ key }) => key === userId)).toMatchObject([{ type: "user.registered", attempts: 1 }]);
  expect(email).toContain("@");
});

test("a code stands on a line of its own, whatever the name, and is not kept once it is sent", async () => {
  const codeId = system.random.id();
  const job = {
    userId: codeId,
    email: "code@example.test",
    displayName: "Eve\r\n\r\n999999\u2028888888",
    code: "123456",
    expiresAt: later(600_000),
    codeId,
  };
  const id = system.random.id();
  await send(SendVerificationCode, job, id);
  await system.settle();
  await send(SendVerificationCode, job, id);
  await send(SendVerificationCode, job);
  await send(SendPasswordReset, { ...job, code: "654321" });
  await send(SendPasswordReset, { ...job, codeId: system.random.id(), toNobody: true });
  await system.settle();
  expect((await subjects("code@example.test")).sort()).toEqual(["Password reset", "Your verification code"]);
  const codes = (await inbox("code@example.test")).map(({ data }) =>
    data.split("\r\n").filter((row) => /^\s*\d{6}\s*$/.test(row)),
  );
  expect(codes.sort()).toEqual([["123456"], ["654321"]]);

  const rows = await system.app("mail").sql<
    { mail_id: string; row: string }[]
  >`select mail_id, mails::text as row from mails where subject_id = ${codeId}`;
  expect(rows).toHaveLength(2);
  for (const { mail_id, row } of rows) {
    expect(row).not.toMatch(/123456|654321/);
    expect(await refusal(mails().resendMail({ mailId: mail_id }))).toBe(Code.FailedPrecondition);
  }
  expect(JSON.stringify(system.lines)).not.toMatch(/123456|654321/);
});

test("a code that is no code is parked at once, and whoever lists what is parked is not shown it", async () => {
  const codeId = system.random.id();
  await send(SendVerificationCode, {
    userId: codeId,
    email: "bad@example.test",
    displayName: "A",
    code: "<b>",
    expiresAt: later(1),
    codeId,
  });
  await system.settle();
  const { parked } = await system.as("admin", OpsService).listParked({});
  expect(parked.filter(({ key }) => key === codeId)).toMatchObject([
    { type: "mail.send-verification-code", attempts: 1 },
  ]);
  const shown = JSON.parse(parked.find(({ key }) => key === codeId)?.body ?? "");
  expect(shown).toMatchObject({ email: "bad@example.test", code: "[redacted]" });
  expect(await inbox("bad@example.test")).toEqual([]);
});

test("names and products are escaped in HTML and readable in text", async () => {
  const { customerId, email } = await newContact('<img src=x onerror="a()">');
  await FACTS[0]?.tell({ orderId: system.random.idFor(customerId), customerId });
  await system.settle();
  const [mail] = await inbox(email);
  expect(mail?.data).toContain("2 x Caf=C3=A9 <au lait>: EUR 2.25 each");
  expect(mail?.data).toContain("2 x Caf&#233; &lt;au lait&gt;");
  expect(mail?.data).toContain("Hello &lt;img");
  expect(mail?.data).not.toContain("<p>Hello <img");
});

test("a resent mail goes out again under its Message-ID", async () => {
  const { customerId, email } = await newContact();
  const orderId = system.random.idFor(customerId);
  await FACTS[0]?.tell({ orderId, customerId });
  await system.settle();
  const [mail] = (await mails().listMails({ orderId })).mails;
  const mailId = mail?.mailId ?? "";
  expect((await mails().resendMail({ mailId })).mail?.status).toBe(MailStatus.QUEUED);
  await system.settle();
  expect((await inbox(email)).map(({ message_id, received }) => [message_id, received.length])).toEqual([
    [mail?.messageId ?? "", 2],
  ]);
  expect((await mails().getMail({ mailId })).mail).toMatchObject({ status: MailStatus.SENT, attempts: 2 });
});

test("mails are listed newest first, in pages, by status and order", async () => {
  const { customerId } = await newContact();
  const orderId = system.random.idFor(customerId);
  for (const fact of FACTS) {
    await fact.tell({ orderId, customerId });
    await system.advance(1_000);
  }
  const seen: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await mails().listMails({ orderId, pageSize: 4, pageToken });
    seen.push(...page.mails.map(({ template }) => template));
    pageToken = page.nextPageToken;
    if (!pageToken) break;
  }
  expect(seen).toEqual([
    "refund",
    "payment_declined",
    "order_cancelled",
    "order_completed",
    "payment_received",
    "order_received",
  ]);
  expect((await mails().listMails({ orderId, status: MailStatus.FAILED })).mails).toEqual([]);
  expect((await mails().listMails({ orderId, status: MailStatus.SENT })).mails).toHaveLength(6);
  expect(await refusal(mails().listMails({ pageToken: "'" }))).toBe(Code.InvalidArgument);
  expect(await refusal(mails().getMail({ mailId: orderId }))).toBe(Code.NotFound);
  expect(await refusal(mails().resendMail({ mailId: orderId }))).toBe(Code.NotFound);
  expect(await refusal(system.as({ ...system.newCustomer(), userId: customerId }, MailService).listMails({}))).toBe(
    Code.PermissionDenied,
  );
});

test("what a process of the version before writes in lower case is read as it is written now", async () => {
  const { email } = await newContact();
  const { sql } = system.app("mail");
  const mailId = system.random.id();
  await sql`insert into mails (mail_id, template, subject_id, step, recipient, subject, content, holds_code, status, created_at)
    values (${mailId}, 'refund', ${mailId}, 1, ${email}, 'Refund', '{}', false, 'queued', ${system.clock.now()})`;
  expect((await mails().getMail({ mailId })).mail?.status).toBe(MailStatus.QUEUED);
  await sql`update mails set status = 'dropped' where mail_id = ${mailId}`;
  expect((await mails().listMails({ status: MailStatus.DROPPED })).mails.map((mail) => mail.mailId)).toContain(mailId);
});
