import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { SendPaymentReminderSchema } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { MailService, MailStatus } from "../../packages/api/gen/bodega/mail/v1/mail_pb.ts";
import { OpsService } from "../../packages/api/gen/bodega/ops/v1/ops_pb.ts";
import { OrderStatus } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { DeliverMail } from "../../packages/api/jobs.ts";
import type { App } from "../../packages/service/app.ts";
import { classifyError } from "../../packages/service/engine/classify-error.ts";
import { unlessAborted } from "../../packages/service/wire/http.ts";
import { received } from "../../tests/kit/messages.ts";
import { type System, startSystem } from "../../tests/kit/system.ts";
import type { MailConfig } from "./config.ts";
import { deliver, settle } from "./deliver-mail.ts";
import { compose } from "./mail.ts";
import { sendPaymentReminder } from "./send-payment-reminder.ts";
import { listCaught, type OrderState, saveContacts, saveOrders } from "./store.ts";
import { catcherTransport } from "./transport/embedded.ts";
import type { MailTransport } from "./transport/transport.ts";

const HOUR = 3_600_000;
let system: System;
let app: App<MailConfig>;
let port: number | undefined;
let server: SMTPServer | undefined;

beforeAll(async () => {
  port = await openServer({});
  await closeServer();
  system = await startSystem({ services: ["mail"], env: { SMTP_URL: `smtp://127.0.0.1:${port}` } });
  app = system.app("mail") as App<MailConfig>;
});
afterEach(closeServer);
afterAll(() => system.close());

/** A foreign mail server on the configured port, which behaves as the test wants. */
async function openServer(options: SMTPServerOptions): Promise<number> {
  const opened = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    disableReverseLookup: true,
    closeTimeout: 100,
    ...options,
  });
  opened.on("error", () => "a connection that the test cut");
  opened.listen(port ?? 0, "127.0.0.1");
  await once(opened.server, "listening");
  server = opened;
  return (opened.server.address() as AddressInfo).port; // A listening TCP server has one.
}

async function closeServer() {
  const closing = server;
  server = undefined;
  if (closing) await new Promise<void>((resolve) => closing.close(resolve));
}

/** As when its machine loses power: not a word more. */
function cutConnections() {
  // smtp-server keeps the socket of a connection under this name.
  for (const connection of server?.connections ?? []) (connection as unknown as { _socket: Socket })._socket.destroy();
}

async function newMail(to = "ada@example.test", holdsCode = false): Promise<string> {
  const subjectId = app.random.id();
  const letter = { subject: "Refund", content: { name: "Ada", paragraphs: ["123456"] } };
  await app.transact(async (tx) => {
    await compose(app, tx, [
      { tx, template: "refund", subjectId, step: 1, recipient: to, orderId: null, letter, holdsCode },
    ]);
  });
  const [row] = await app.sql<{ mail_id: string }[]>`select mail_id from mails where subject_id = ${subjectId}`;
  return row?.mail_id ?? "";
}

const mailOf = async (mailId: string) => (await system.as("admin", MailService).getMail({ mailId })).mail;
const reply = (responseCode: number) => Object.assign(new Error(`sorry ${responseCode}`), { responseCode });

test("while the mail server is away mails wait, and they go out when it is back", async () => {
  const mailId = await newMail();
  for (let minutes = 0; minutes < 10; minutes++) await system.advance(60_000);
  expect(await mailOf(mailId)).toMatchObject({
    status: MailStatus.QUEUED,
    error: expect.stringContaining("did not take it"),
  });
  const received: string[] = [];
  await openServer({
    onData(stream, _session, callback) {
      stream.on("data", (chunk: Buffer) => received.push(chunk.toString()));
      stream.on("end", () => callback());
    },
  });
  await system.advance(60_000);
  expect(await mailOf(mailId)).toMatchObject({ status: MailStatus.SENT, error: "" });
  expect(received.join("").match(/^Message-ID: /gm)).toHaveLength(1);
});

test("a mail that is refused for good fails at once, is parked, and goes out when it is replayed", async () => {
  await openServer({ onRcptTo: (_address, _session, callback) => callback(reply(550)) });
  const mailId = await newMail();
  await system.settle();
  expect(await mailOf(mailId)).toMatchObject({
    status: MailStatus.FAILED,
    attempts: 1,
    error: expect.stringContaining("sorry 550"),
  });
  await closeServer();
  await openServer({});
  const { parked } = await system.as("admin", OpsService).listParked({});
  const parkedIds = parked.filter(({ key }) => key === mailId).map(({ parkedId }) => parkedId);
  expect(parkedIds).toHaveLength(1);
  await system.as("admin", OpsService).replayParked({ service: "mail", parkedIds });
  await system.advance(2_000);
  expect(await mailOf(mailId)).toMatchObject({ status: MailStatus.SENT, attempts: 2 });
});

test("a mail that is turned away for now waits", async () => {
  await openServer({ onMailFrom: (_address, _session, callback) => callback(reply(451)) });
  const mailId = await newMail();
  await system.settle();
  expect(await mailOf(mailId)).toMatchObject({
    status: MailStatus.QUEUED,
    error: expect.stringContaining("sorry 451"),
  });
});

test("a server that takes the mail and dies before it says so gets it again under the same Message-ID", async () => {
  const ids: string[] = [];
  await openServer({
    onData(stream, _session, callback) {
      let data = "";
      stream.on("data", (chunk: Buffer) => {
        data += chunk.toString();
      });
      stream.on("end", () => {
        ids.push(/^Message-ID: (.*)\r$/m.exec(data)?.[1] ?? "");
        if (ids.indexOf(ids.at(-1) ?? "") < ids.length - 1) callback();
        else cutConnections();
      });
    },
  });
  const mailId = await newMail();
  await system.settle();
  const waiting = await mailOf(mailId);
  expect(ids.filter((id) => id === waiting?.messageId)).toHaveLength(1);
  expect(waiting).toMatchObject({ status: MailStatus.QUEUED, error: expect.stringContaining("did not say") });
  await system.advance(10 * 60_000);
  const mail = await mailOf(mailId);
  expect(mail?.status).toBe(MailStatus.SENT);
  expect(ids.filter((id) => id === mail?.messageId)).toHaveLength(2);
});

test("a worker that dies between sending and settling leaves one mail, handed over twice under one Message-ID", async () => {
  const mailId = await newMail("crash@example.test");
  await system.settle();
  const before = (await mailOf(mailId))?.attempts ?? 0;
  const catcher = catcherTransport(app);
  const body = create(DeliverMail.schema, { mailId });
  expect(await deliver(app, catcher, body, AbortSignal.timeout(10_000))).toEqual({ kind: "sent" });
  const again = await deliver(app, catcher, body, AbortSignal.timeout(10_000));
  await app.transact((tx) => settle(app, tx, [{ message: received(tx, body), result: again }]));
  expect(await deliver(app, catcher, body, AbortSignal.timeout(10_000))).toEqual({ kind: "nothing" });
  const { rows } = await listCaught(app.sql, { kind: "to", query: "crash@" }, 0, 10);
  expect(rows.map(({ message_id, received }) => [message_id, received.length])).toEqual([
    [(await mailOf(mailId))?.messageId ?? "", 2],
  ]);
  // What died before it was settled counts as a delivery where it arrived, and not as an attempt here.
  expect(await mailOf(mailId)).toMatchObject({ status: MailStatus.SENT, attempts: before + 1 });
});

test("a mail that is not handed over in its time waits for the next", async () => {
  const mailId = await newMail("slow@example.test");
  const never: MailTransport = { send: (_mail, signal) => unlessAborted(signal, new Promise(() => {})) };
  const body = create(DeliverMail.schema, { mailId });
  const error = await deliver(app, never, body, AbortSignal.timeout(1)).catch((reason: unknown) => reason);
  expect(classifyError(error)).toBe("away");
});

test("a code that cannot be delivered while it lives is given up and not kept", async () => {
  const mailId = await newMail("code@example.test", true);
  for (let minutes = 0; minutes < 4; minutes++) await system.advance(60_000);
  expect(await mailOf(mailId)).toMatchObject({ status: MailStatus.QUEUED });
  for (let minutes = 0; minutes < 12; minutes++) await system.advance(60_000);
  const mail = await mailOf(mailId);
  expect(mail).toMatchObject({
    status: MailStatus.FAILED,
    error: expect.stringContaining(`given up after ${(mail?.attempts ?? 0) - 1} attempts`),
  });
  expect(mail?.attempts).toBeGreaterThan(10);
  const [row] = await app.sql`select content from mails where mail_id = ${mailId}`;
  expect(row).toEqual({ content: null });
});

async function newOrder(state: OrderState | null = "PENDING") {
  const customerId = system.newCustomer().userId;
  const orderId = app.random.idFor(customerId);
  await saveContacts(app.sql, [{ user_id: customerId, email: `r-${orderId}@example.test`, display_name: "Ada" }]);
  if (state)
    await saveOrders(app.sql, [{ order_id: orderId, status: state, total_minor_units: 450n, currency_code: "EUR" }]);
  const expiresAt = new Date(app.clock.now().getTime() + 20 * HOUR);
  const total = { currencyCode: "EUR", minorUnits: 450n };
  return {
    orderId,
    expiresAt,
    remind: (reminder: number) =>
      app.transact((tx) =>
        sendPaymentReminder(
          app,
          received(
            tx,
            create(SendPaymentReminderSchema, {
              orderId,
              customerId,
              reminder,
              total,
              expiresAt: timestampFromDate(expiresAt),
            }),
          ),
        ),
      ),
    states: async () =>
      (
        await app.sql<
          { step: number; status: string }[]
        >`select step, status from mails where subject_id = ${orderId} order by step`
      ).map(({ step, status }) => `${step} ${status}`),
  };
}

/** The app of a mail service whose order service says this. */
const asking = (answer: () => Promise<{ order: { status: OrderStatus } }>) =>
  ({ ...app, call: () => ({ getOrder: answer }) }) as unknown as App<MailConfig>; // All that a delivery calls.

async function handOver(orderId: string, answer: () => Promise<{ order: { status: OrderStatus } }>) {
  const [row] = await app.sql<
    { mail_id: string }[]
  >`select mail_id from mails where subject_id = ${orderId} order by step desc limit 1`;
  const body = create(DeliverMail.schema, { mailId: row?.mail_id ?? "" });
  const outcome = await deliver(asking(answer), catcherTransport(app), body, AbortSignal.timeout(10_000)).catch(
    (error: unknown) => classifyError(error),
  );
  if (typeof outcome === "string") return outcome;
  await app.transact((tx) => settle(app, tx, [{ message: received(tx, body), result: outcome }]));
  return (await listCaught(app.sql, { kind: "containing", query: `payment_reminder.${orderId}` }, 0, 10)).total;
}

test("a reminder goes out while the order's own service says it is unpaid", async () => {
  const { orderId, remind, states } = await newOrder(null);
  await remind(1);
  expect(await handOver(orderId, async () => ({ order: { status: OrderStatus.PENDING } }))).toBe(1);
  expect(await states()).toEqual(["1 SENT"]);
});

test("a reminder is dropped when the order was paid a moment ago, and waits when nobody can say", async () => {
  const { orderId, remind, states } = await newOrder();
  await remind(1);
  expect(await handOver(orderId, () => Promise.reject(new ConnectError("away", Code.Unavailable)))).toBe("away");
  expect(await states()).toEqual(["1 QUEUED"]);
  expect(await handOver(orderId, async () => ({ order: { status: OrderStatus.PAID } }))).toBe(0);
  expect(await states()).toEqual(["1 DROPPED"]);
});

test("a reminder for an order that has moved on is written down as dropped", async () => {
  for (const state of ["PAID", "COMPLETED", "CANCELLED"] as const) {
    const { remind, states } = await newOrder(state);
    await remind(1);
    expect(await states()).toEqual(["1 DROPPED"]);
  }
});

test("of reminders that come late only the newest stays", async () => {
  const inOrder = await newOrder();
  for (const reminder of [1, 2, 2, 3]) await inOrder.remind(reminder);
  expect(await inOrder.states()).toEqual(["1 DROPPED", "2 DROPPED", "3 QUEUED"]);
  const reversed = await newOrder();
  for (const reminder of [3, 2, 1]) await reversed.remind(reminder);
  expect(await reversed.states()).toEqual(["1 DROPPED", "2 DROPPED", "3 QUEUED"]);
});

test("a reminder that comes when the next step is due is dropped", async () => {
  const { remind, states } = await newOrder();
  system.clock.advance(8 * HOUR);
  await remind(1);
  await remind(2);
  expect(await states()).toEqual(["1 DROPPED", "2 QUEUED"]);
  system.clock.advance(12 * HOUR);
  await remind(3);
  expect(await states()).toEqual(["1 DROPPED", "2 QUEUED", "3 DROPPED"]);
});
