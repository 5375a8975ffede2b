import { Code, ConnectError } from "@connectrpc/connect";
import type { DeliverMail as Delivery } from "../../packages/api/gen/bodega/mail/v1/events_pb.ts";
import { OrderService, OrderStatus, OrderStatusSchema } from "../../packages/api/gen/bodega/order/v1/order_pb.ts";
import { DeliverMail } from "../../packages/api/jobs.ts";
import { gather, gatherPer } from "../../packages/database/gather.ts";
import type { App, Tx } from "../../packages/service/app.ts";
import { type Attempt, type Does, effectMany, type Performed } from "../../packages/service/service.ts";
import { inContextOf } from "../../packages/telemetry/context.ts";
import type { MailConfig } from "./config.ts";
import { messageIdOf } from "./mail.ts";
import { giveUp, type MailRow, markSent, noteError, toSend } from "./store.ts";
import { type Content, htmlOf, textOf } from "./templates.tsx";
import { type MailTransport, type OutgoingMail, undeliverable } from "./transport.ts";

const RETRY_MS_MIN = 1_000;
/** So that all mails are out within two minutes of a mail server's return. */
const RETRY_MS_MAX = 60_000;
/** More than half a day of one try a minute. */
const ATTEMPTS_MAX = 1_000;
/** About ten minutes of tries: then the code in it is worth nothing. */
const CODE_ATTEMPTS_MAX = 15;
const BEGUN_AT_ONCE_MAX = 64;

export type Outcome =
  | { kind: "sent" }
  | { kind: "nothing" }
  | { kind: "dropped"; why: string }
  | { kind: "later"; why: string; attempts: number };

/** `atOnce` mails are under way at one time: as many as the transport can take. */
export function deliversMail(atOnce: number, transportOf: (app: App<MailConfig>) => MailTransport): Does {
  const perform = (app: App<MailConfig>, body: Delivery, { signal }: Attempt) =>
    deliver(app, transportOf(app), body, signal);
  return effectMany(DeliverMail, atOnce, perform, settle, fail);
}

/** A mail server that is away is no fault of the mail: it waits and is tried again. Only what is refused for good fails. */
export async function deliver(
  app: App<MailConfig>,
  transport: MailTransport,
  { mailId }: Delivery,
  signal: AbortSignal,
): Promise<Outcome> {
  const mail = await find(app, mailId);
  if (!mail) return { kind: "nothing" };
  if (mail.content === null) return { kind: "dropped", why: "its text held a code and is no longer kept" };
  const attempts = mail.attempts + 1;
  try {
    const why = await overtaken(app, mail);
    if (why) return { kind: "dropped", why };
    await transport.send(outgoing(app.config, mail, mail.content), signal);
    return { kind: "sent" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof ConnectError && error.code === Code.InvalidArgument) throw error;
    if (attempts >= (mail.holds_code ? CODE_ATTEMPTS_MAX : ATTEMPTS_MAX))
      throw undeliverable(`given up after ${attempts} attempts: ${why}`);
    return { kind: "later", why, attempts };
  }
}

/** Mails that are begun at one moment are read in one statement. */
const find = gatherPer((app: App<MailConfig>) =>
  gather((mailIds: string[]) => toSend(app.sql, mailIds), {
    itemsMax: BEGUN_AT_ONCE_MAX,
    atOnce: 1,
    keyOf: (mailId) => mailId,
  }),
);

export async function settle(app: App, tx: Tx, performed: Performed<Delivery, Outcome>[]): Promise<void> {
  const sent = performed.filter(({ result }) => result.kind === "sent");
  if (sent.length > 0) {
    const ids = sent.map(({ body }) => body.mailId);
    await markSent(tx.sql, ids, app.clock.now());
  }
  for (const { body, result } of performed) await inContextOf(body, () => settleOne(app, tx, body, result));
}

async function settleOne(app: App, tx: Tx, { mailId }: Delivery, outcome: Outcome): Promise<void> {
  if (outcome.kind === "sent") app.log.info("mail.sent", { mail_id: mailId });
  else if (outcome.kind === "dropped") {
    await giveUp(tx.sql, mailId, "dropped", outcome.why);
    app.log.info("mail.dropped", { mail_id: mailId, why: outcome.why });
  } else if (outcome.kind === "later" && (await noteError(tx.sql, mailId, outcome.why))) {
    tx.enqueue(DeliverMail, { mailId }, { at: app.clock.soon(retryMs(outcome.attempts)) });
    app.log.warn("mail.waits", { mail_id: mailId, attempts: outcome.attempts, why: outcome.why });
  }
}

export async function fail(_app: App, tx: Tx, { mailId }: Delivery, error: string): Promise<void> {
  await giveUp(tx.sql, mailId, "failed", error);
}

/** Why a mail is not to be sent any more. The order's own service is asked: the copy here may lag behind a payment. */
async function overtaken(app: App, mail: MailRow): Promise<string | undefined> {
  if (mail.template !== "payment_reminder") return undefined;
  const { order } = await app.call(OrderService).getOrder({ orderId: mail.subject_id });
  if (order?.status === OrderStatus.PENDING) return undefined;
  return `the order is ${OrderStatusSchema.value[order?.status ?? OrderStatus.UNSPECIFIED]?.name}`;
}

function outgoing({ from }: MailConfig, mail: MailRow, content: Content): OutgoingMail {
  return {
    messageId: messageIdOf(mail),
    from,
    to: mail.recipient,
    subject: mail.subject,
    text: textOf(content),
    html: htmlOf(mail.subject, content),
    date: mail.created_at,
  };
}

function retryMs(attempts: number): number {
  return Math.min(RETRY_MS_MIN * 2 ** (attempts - 1), RETRY_MS_MAX);
}
